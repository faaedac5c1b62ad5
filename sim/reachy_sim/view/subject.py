"""What the viewer has to know about a task, in one place."""

from typing import TYPE_CHECKING

from reachy_kit.errors import WrongUseError

if TYPE_CHECKING:
    from reachy_kit.interface import World
    from reachy_sim.tasks.gaze import GazeTask

TRAINING = "training"
"""The variant that every task has: the one that policies are trained on."""


def variants_of(task: "GazeTask") -> tuple[str, ...]:
    """Names of the task's variants, the usual one first."""
    return (TRAINING,)


def variant_of(task: "GazeTask", name: str) -> "GazeTask":
    """The task in one of its variants.

    Raises:
        WrongUseError: it has none of that name.
    """
    if name not in variants_of(task):
        raise WrongUseError(f"{task.name} has no variant {name!r}; there are {', '.join(variants_of(task))}")
    return task


def tolerance_of(task: "GazeTask | None") -> float | None:
    """Rad of gaze error that still counts as looking; None where the task is not about looking."""
    return getattr(task, "tolerance", None)


def is_shown(world: "World | None", time: float) -> bool:
    """Whether the world's target is out of hiding at an instant of the robot's clock."""
    shows = getattr(world, "shows", None)
    return shows is None or bool(shows(time))
