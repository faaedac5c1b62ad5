"""The commands that drive a robot: one file per verb."""
