"""System identification of a robot's motors, and differences between robots."""
