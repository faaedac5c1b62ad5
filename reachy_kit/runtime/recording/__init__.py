"""Episodes made durable: what a frame holds, the recorder, and files for the robot's own computer."""
