"""A take's video: H.264, encoded beside the control loop while the take lasts."""
