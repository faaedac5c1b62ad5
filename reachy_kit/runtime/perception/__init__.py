"""Perception: from what the robot senses to the few named numbers a policy decides on."""
