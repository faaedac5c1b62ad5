"""Numbers that spoil training: none at all, and those that the robot cannot have."""
