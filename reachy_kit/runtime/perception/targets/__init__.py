"""What the robot looks at: a file for each kind of target, and how detection runs beside the control loop."""
