"""LeRobot v3 datasets on the desktop: written, read, and filled from the robot's episode files."""
