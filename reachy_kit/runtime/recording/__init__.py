"""Episodes made durable, without LeRobot: what a frame holds, the recorder, and files for the robot's own computer."""
