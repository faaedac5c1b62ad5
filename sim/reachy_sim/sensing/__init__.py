"""Senses of the simulated robot, and the fit of their noise to the ball detector."""
