"""The simulator: the robot's own physics, our scenes and tasks, and the world of a simulated daemon.

Importing it registers its environments with Gymnasium: ``gymnasium.make("ReachyMini/LookAt-v0")``.
Try it: reachy-kit eval expert --task look_at --episodes 5
"""

import os
import sys

import gymnasium

from reachy_kit.runtime.interface import TaskSpec
from reachy_kit.runtime.tasks.task_registry import known_tasks

# MuJoCo picks its renderer when it is imported. Without a screen only EGL or OSMesa work; a user's own choice stays.
if sys.platform == "linux":
    os.environ.setdefault("MUJOCO_GL", "egl")


def register_environment(spec: TaskSpec) -> None:
    """Register a task's environments with Gymnasium, unless they are registered already."""
    if spec.gym_id not in gymnasium.registry:
        gymnasium.register(
            spec.gym_id,
            entry_point="reachy_sim.envs.single_env:ReachyMiniEnv",
            vector_entry_point="reachy_sim.envs.vector_env:ReachyMiniVectorEnv",
            kwargs={"task": spec.name},
        )


for _spec in known_tasks():
    register_environment(_spec)
