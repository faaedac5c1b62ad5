"""The tasks by name, each in a file of its own, with their variants and their teachers."""

from reachy_kit.runtime.errors import WrongUseError
from reachy_sim.tasks import dance, look_at, sound_orient, track
from reachy_sim.tasks.variants import Variant

VARIANTS: dict[str, dict[str, Variant]] = {
    "look_at": look_at.VARIANTS,
    "track": track.VARIANTS,
    "sound_orient": sound_orient.VARIANTS,
    "dance": dance.VARIANTS,
}
TASKS = {name: variants["training"].task for name, variants in VARIANTS.items()}


def variant_by_name(task: str, variant: str = "training") -> Variant:
    """A task's variant.

    Raises:
        WrongUseError: there is no such task, or it has no such variant.
    """
    if task not in VARIANTS:
        raise WrongUseError(f"no task is called {task!r}; there are {', '.join(VARIANTS)}")
    if variant not in VARIANTS[task]:
        raise WrongUseError(f"{task} has no variant {variant!r}; there are {', '.join(VARIANTS[task])}")
    return VARIANTS[task][variant]
