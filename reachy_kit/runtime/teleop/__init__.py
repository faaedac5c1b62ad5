"""Ways to demonstrate: one file per device by which a person, a script or another robot drives the robot."""
