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
        """Collect episodes and learn from them; returns what is logged.

        Args:
            iteration: from 1; episodes follow from it and from the training's seed.
        """
        ...

    def eval_policy(self) -> BatchPolicy:
        """The policy so far, without exploration, for as many environments as are evaluated."""
        ...

    def policy(self) -> PreTrainedPolicy:
        """A copy of the policy so far, to be saved."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that changes in training."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Put back what ``state_dict`` gave."""
        ...

    def halve_learning_rates(self) -> None:
        """Called after an iteration that yielded NaN was rolled back."""
        ...
