"""The simulator: the robot's own physics, our scenes and tasks, and the twin world of a simulated daemon.

Importing it registers its environments with Gymnasium: ``gymnasium.make("ReachyMini/LookAt-v0")``.
Try it: reachy-kit eval expert --task look_at --episodes 5
"""

import os
import sys

import gymnasium

# MuJoCo picks its renderer when it is imported. Without a screen only EGL or OSMesa work; a user's own choice stays.
if sys.platform == "linux":
    os.environ.setdefault("MUJOCO_GL", "egl")

ENVIRONMENTS = {
    "ReachyMini/LookAt-v0": "look_at",
    "ReachyMini/Track-v0": "track",
    "ReachyMini/SoundOrient-v0": "sound_orient",
    "ReachyMini/Dance-v0": "dance",
}
"""Gymnasium's names of the tasks."""

for _name, _task in ENVIRONMENTS.items():
    gymnasium.register(
        _name,
        entry_point="reachy_sim.envs.vector_env:ReachyMiniEnv",
        vector_entry_point="reachy_sim.envs.vector_env:ReachyMiniVectorEnv",
        kwargs={"task": _task},
    )
