"""reachy_kit: record a behaviour on a Reachy Mini, learn it by imitation, put it back on the robot, safely.

This package is the robot side and the command line. It never loads torch, lerobot, mujoco or gymnasium at import:
the robot's own computer has none of them.
Try it: reachy-kit demo
"""

__version__ = "0.1.0"
