"""The simulator: the robot's own physics, our scenes and tasks, and the twin world of a simulated daemon.

Try it: reachy-kit eval expert --task look_at --episodes 5
"""

import os
import sys

# MuJoCo picks its renderer when it is imported. Without a screen only EGL or OSMesa work; a user's own choice stays.
if sys.platform == "linux":
    os.environ.setdefault("MUJOCO_GL", "egl")
