"""What the simulator lends to learning and judging: environments by task, and teachers for many of them at once."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    from reachy_sim.envs.vector_env import ReachyMiniVectorEnv


def make_envs(task: str, count: int, **options: Any) -> "ReachyMiniVectorEnv":
    """N environments without autoreset.

    Args:
        task: its name.
        count: N.
        options: of ``ReachyMiniVectorEnv``.

    Raises:
        WrongUseError: the task or an option does not exist.
    """
    from reachy_sim.envs.vector_env import ReachyMiniVectorEnv

    return ReachyMiniVectorEnv(count, task=task, autoreset_mode="Disabled", **options)


class BatchExpert:
    """A task's scripted expert or oracle for N environments; how it wavers follows from the episodes' seeds.

    Args:
        task: its name.
        hz: decisions a second.
        seeds: (N,) one an environment.
        oracle: rather what is possible than what a person would do.
    """

    def __init__(self, task: str, hz: int, seeds: Sequence[int], *, oracle: bool = False) -> None:
        import numpy as np

        from reachy_sim.tasks import expert_policy

        self._policy = expert_policy(task, hz, len(seeds), oracle=oracle)
        self._seeds = np.array(seeds, dtype=np.uint64)

    def begin(self, observation: Mapping[str, "npt.NDArray[Any]"]) -> None:
        """New episodes in all environments."""
        import numpy as np

        self._policy.reset(np.arange(len(self._seeds)), self._seeds, np.zeros_like(self._seeds))

    def act(self, observation: Mapping[str, "npt.NDArray[Any]"]) -> "npt.NDArray[Any]":
        """(N, 9) targets."""
        state, features, last = (
            observation[key].astype("f8") for key in ("agent_pos", "environment_state", "last_action")
        )
        return self._policy.act(state, features, last)
