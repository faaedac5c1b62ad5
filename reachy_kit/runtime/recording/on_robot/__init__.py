"""Recording on the robot's own computer: a process beside the daemon, and its line to a desktop."""
