"""A session of takes that a person demonstrates: its keys, its state, and how the takes follow; also on the robot."""
