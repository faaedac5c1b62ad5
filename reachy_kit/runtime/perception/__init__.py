"""Perception: from images and sound to the few named numbers on which a policy decides."""
