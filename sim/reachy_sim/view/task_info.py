"""Properties of a task that the viewer shows besides the robot."""

from typing import TYPE_CHECKING

from reachy_sim.tasks import TRAINING, simulated_task

if TYPE_CHECKING:
    from reachy_kit.runtime.interface import World
    from reachy_sim.tasks.task import Task


def variants_of(task: "Task | None") -> tuple[str, ...]:
    """Names of the task's variants, ``training`` first; a real robot has only that one."""
    return tuple(simulated_task(task.name).variants) if task else (TRAINING,)


def tolerance_of(task: "Task | None") -> float | None:
    """Largest task error that counts towards success; None without a task."""
    return task.tolerance if task else None


def is_shown(world: "World | None", time: float) -> bool:
    """Whether the world's target is visible at an instant of the robot's clock (s)."""
    shows = getattr(world, "shows", None)
    return shows is None or bool(shows(time))
