"""What the simulator lends to learning and judging: environments by task, and teachers for many of them at once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reachy_kit.errors import WrongUseError

if TYPE_CHECKING:
    import numpy.typing as npt
    from gymnasium.vector import VectorEnv

    from reachy_policies.evaluate.batch import BatchPolicy


def make_envs(task: str, count: int, **options: Any) -> "VectorEnv[Any, Any, Any]":
    """N environments without autoreset.

    Args:
        task: its name.
        count: N.
        options: of ``ReachyMiniVectorEnv``.

    Raises:
        WrongUseError: an option does not exist.
    """
    import gymnasium

    from reachy_sim import ENVIRONMENTS

    names = [name for name, known in ENVIRONMENTS.items() if known == task]
    if not names:
        raise WrongUseError(f"no task is called {task}; there are {', '.join(ENVIRONMENTS.values())}")
    return gymnasium.make_vec(names[0], num_envs=count, autoreset_mode="Disabled", **options)


def batch_teacher(task: str, hz: int, count: int, seed: int = 0, *, oracle: bool = False) -> "BatchPolicy":
    """A task's scripted expert or oracle for N environments.

    Args:
        task: its name.
        hz: decisions a second.
        count: N.
        seed: of its wavering in the first environment; the others count on from it.
        oracle: rather what is possible than what a person would do.
    """
    import numpy as np

    from reachy_sim.tasks.expert import teacher

    class Teacher:
        def __init__(self) -> None:
            self._policy = teacher(task, hz, count, oracle=oracle)
            self._seeds = np.arange(seed, seed + count, dtype=np.uint64)

        def begin(self, observation: Mapping[str, "npt.NDArray[Any]"]) -> None:
            self._policy.reset(np.arange(count), self._seeds, np.zeros(count, dtype=np.uint64))

        def act(self, observation: Mapping[str, "npt.NDArray[Any]"]) -> "npt.NDArray[Any]":
            parts = (observation[key].astype(np.float64) for key in ("agent_pos", "environment_state", "last_action"))
            return self._policy.act(*parts)

    return Teacher()
