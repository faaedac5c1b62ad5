"""Replay memory of whole episodes; a share of each batch comes from the expert's.

Episodes are kept as they were observed, step by step, and windows of observations are cut when they are drawn: windows
of four would take four times the room in memory and in checkpoints.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from reachy_policies.data.windows import past, steps_around

type Features = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Features (B, F) from the parts of a window."""


@dataclass(frozen=True)
class Episodes:
    """E episodes of S decisions, all of the same length; they end because time runs out."""

    state: Tensor
    """(E, S+1, A) m and rad."""
    environment_state: Tensor
    """(E, S+1, K) perception's features."""
    last_action: Tensor
    """(E, S+1, A) action in force at that observation."""
    base_action: Tensor
    """(E, S+1, A) action of the base, stored so that a slow base never runs twice on an observation."""
    correction: Tensor
    """(E, S, axes) corrections in [−1, 1], shares of the reach."""
    reward: Tensor
    """(E, S) rewards."""

    def __len__(self) -> int:
        return len(self.reward)

    def window(self, episode: Tensor, step: Tensor, n_obs_steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs of the residual network at (B,) steps of (B,) episodes; an episode's first observation repeats."""
        steps, _ = steps_around(step, past(n_obs_steps), 0, self.state.shape[1] - 1)
        rows, now = (episode[:, None], steps), (episode, step)
        return self.state[rows], self.environment_state[rows], self.last_action[now], self.base_action[now]

    def latest(self, count: int) -> "Episodes":
        """The last ``count`` episodes."""
        return Episodes(**{name: value[-count:] for name, value in vars(self).items()})


def joined(first: Episodes, second: Episodes) -> Episodes:
    """Episodes of both, one after the other."""
    names = [field.name for field in fields(Episodes)]
    return Episodes(**{name: torch.cat([getattr(first, name), getattr(second, name)]) for name in names})


@dataclass(frozen=True)
class Batch:
    """B decisions with their outcomes."""

    features: Tensor
    """(B, F) features."""
    next_features: Tensor
    """(B, F) features one decision later."""
    n_step_features: Tensor
    """(B, F) features after n decisions, or at the episode's end."""
    correction: Tensor
    """(B, axes) corrections."""
    reward: Tensor
    """(B,) discounted rewards of the n decisions."""
    discount: Tensor
    """(B,) discount of the value after them."""


class ReplayMemory:
    """The expert's episodes, and the latest of the policy's own.

    Args:
        capacity: number of own episodes to keep.
        n_obs_steps: T, observations in a window.
        n_step: number of decisions whose observed rewards precede the critics' value.
        gamma: discount of a decision.
        demonstration_share: of a batch, from the expert's episodes.
    """

    def __init__(self, capacity: int, n_obs_steps: int, n_step: int, gamma: float, demonstration_share: float) -> None:
        self._capacity, self._n_obs_steps, self._n_step = capacity, n_obs_steps, n_step
        self._gamma, self._share = gamma, demonstration_share
        self.demonstrations: Episodes | None = None
        self.own: Episodes | None = None

    def add_demonstrations(self, episodes: Episodes) -> None:
        """Add the expert's episodes, which are never dropped."""
        self.demonstrations = joined(self.demonstrations, episodes) if self.demonstrations else episodes

    def add(self, episodes: Episodes) -> None:
        """Add the policy's own episodes; the oldest are dropped."""
        self.own = (joined(self.own, episodes) if self.own else episodes).latest(self._capacity)

    def sample(self, count: int, features: Features) -> Batch:
        """Sample a batch of ``count`` decisions, some of them the expert's."""
        assert self.own is not None
        if self.demonstrations is None:
            return self._sample(self.own, count, features)
        demonstrated = round(self._share * count)
        first = self._sample(self.demonstrations, demonstrated, features)
        second = self._sample(self.own, count - demonstrated, features)
        names = [field.name for field in fields(Batch)]
        return Batch(**{name: torch.cat([getattr(first, name), getattr(second, name)]) for name in names})

    def _sample(self, episodes: Episodes, count: int, features: Features) -> Batch:
        length = episodes.reward.shape[1]
        episode, step = torch.randint(len(episodes), (count,)), torch.randint(length, (count,))
        ahead = torch.arange(self._n_step)
        steps = step[:, None] + ahead
        rewards = episodes.reward[episode[:, None], steps.clamp_max(length - 1)]
        end = (step + self._n_step).clamp_max(length)
        windows = episodes.window(episode.repeat(3), torch.cat([step, step + 1, end]), self._n_obs_steps)
        now, following, final = features(*windows).chunk(3)
        return Batch(
            now,
            following,
            final,
            correction=episodes.correction[episode, step],
            reward=(rewards * (steps < length) * self._gamma**ahead).sum(1),
            discount=self._gamma ** (end - step).float(),
        )

    def state_dict(self) -> dict[str, Any]:
        """All episodes."""
        kinds = {"demonstrations": self.demonstrations, "own": self.own}
        return {kind: dict(vars(episodes)) for kind, episodes in kinds.items() if episodes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a ``state_dict``."""
        self.demonstrations, self.own = (
            Episodes(**state[kind]) if kind in state else None for kind in ("demonstrations", "own")
        )
