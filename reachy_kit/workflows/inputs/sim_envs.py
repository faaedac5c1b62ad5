"""Environments and scripted experts of the simulator, for training and evaluation.

Try it: reachy-kit eval expert oracle --task track --tier kinematic --episodes 50
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from reachy_sim.envs.vector_env import ReachyMiniVectorEnv

type Observations = Mapping[str, "npt.NDArray[Any]"]


def make_envs(task: str, count: int, **options: Any) -> "ReachyMiniVectorEnv":
    """Make environments without autoreset.

    Args:
        task: its name.
        count: N.
        options: options of ``ReachyMiniVectorEnv``.

    Returns:
        N environments as one.

    Raises:
        WrongUseError: the task or an option does not exist.
    """
    from reachy_sim.envs.vector_env import ReachyMiniVectorEnv

    return ReachyMiniVectorEnv(count, task=task, autoreset_mode="Disabled", **options)


class BatchExpert:
    """A task's scripted expert or oracle for N environments; its variation follows from the seeds.

    Args:
        task: its name.
        hz: decisions per second.
        seeds: (N,) of the episodes, one for each environment.
        oracle: act as well as the senses permit, rather than as a person would.
    """

    def __init__(self, task: str, hz: int, seeds: Sequence[int], *, oracle: bool = False) -> None:
        from reachy_sim.tasks import expert_policy

        self._policy = expert_policy(task, hz, len(seeds), oracle=oracle)
        self._seeds = np.array(seeds, dtype=np.uint64)

    def reset(self) -> None:
        """Start new episodes in all environments."""
        self._policy.reset(np.arange(len(self._seeds)), self._seeds, np.zeros_like(self._seeds))

    def act(self, observation: Observations) -> "npt.NDArray[Any]":
        """(N, 9) targets, m and rad, base frame."""
        state, features, last = (
            observation[key].astype("f8") for key in ("agent_pos", "environment_state", "last_action")
        )
        return self._policy.act(state, features, last)
