"""The simulator: the robot's own physics, our scenes and tasks, and the world of a simulated daemon.

Importing it registers its environments with Gymnasium: ``gymnasium.make("ReachyMini/LookAt-v0")``.
Try it: reachy-kit eval expert --task look_at --episodes 5
"""

import os
import sys

import gymnasium

from reachy_kit.runtime.interface import TaskSpec
from reachy_kit.runtime.tasks.task_registry import known_tasks


def _import_mujoco() -> None:
    """Import MuJoCo without OpenGL.

    Its import loads the OpenGL library that ``MUJOCO_GL`` names, and fails where that is missing or unknown. Here the
    library is chosen at the first drawing, also for a ``mujoco.Renderer`` of the user's.
    """
    chosen = os.environ.get("MUJOCO_GL")
    os.environ["MUJOCO_GL"] = "disable"
    try:
        import mujoco
        from mujoco.rendering.classic import gl_context
    finally:
        del os.environ["MUJOCO_GL"]
        if chosen is not None:
            os.environ["MUJOCO_GL"] = chosen
    from reachy_sim.gl_backend import open_context

    mujoco.GLContext = gl_context.GLContext = open_context


if "mujoco" not in sys.modules:  # before any module of this package needs it
    _import_mujoco()


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
