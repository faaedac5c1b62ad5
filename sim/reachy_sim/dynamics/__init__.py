"""How the robots move: MuJoCo, or identified motors under exact kinematics."""
