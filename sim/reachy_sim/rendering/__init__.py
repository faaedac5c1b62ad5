"""Images: what the head camera sees, and the robot from outside."""
