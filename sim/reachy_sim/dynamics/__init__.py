"""Dynamics of a batch of robots: MuJoCo physics, or identified motors under exact kinematics."""
