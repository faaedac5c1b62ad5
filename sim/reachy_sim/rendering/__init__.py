"""Images of the head camera, and of the robot from outside."""
