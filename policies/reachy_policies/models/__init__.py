"""The networks, as LeRobot policies."""
