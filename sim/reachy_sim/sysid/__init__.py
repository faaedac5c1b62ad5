"""System identification of a robot's motors, and how far robots differ."""
