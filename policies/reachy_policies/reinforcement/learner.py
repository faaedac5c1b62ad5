"""The interface of a method of learning in the simulator."""

from typing import Any, Protocol

from lerobot.policies.pretrained import PreTrainedPolicy

from reachy_policies.rollouts.episode_batch import BatchPolicy
from reachy_policies.runs.checkpoint import State


class Learner(Protocol):
    """A method that improves a policy iteration by iteration."""

    @property
    def env_steps(self) -> int:
        """Decisions of all environments so far."""
        ...

    def train_iteration(self, iteration: int) -> dict[str, float]:
        """Collect episodes and learn from them; returns the log.

        Args:
            iteration: index from 1; the episodes follow from it and from the training's seed.
        """
        ...

    def eval_policy(self) -> BatchPolicy:
        """The current policy, without exploration, for as many environments as are evaluated."""
        ...

    def policy(self) -> PreTrainedPolicy:
        """A copy of the current policy, to be saved."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """State of the training."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Restore a ``state_dict``."""
        ...

    def halve_learning_rates(self) -> None:
        """Halve the learning rates; called after an iteration that yielded NaN was rolled back."""
        ...
