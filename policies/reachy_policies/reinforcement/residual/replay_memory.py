"""What was tried, to learn from again and again: whole episodes, half of each batch from the teacher's.

Episodes are kept as they were observed, step by step; windows of observations are cut when they are drawn:
windows of four would take four times the room in memory and in checkpoints.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

type Features = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""A window's parts → (B, F)."""


@dataclass(frozen=True)
class Episodes:
    """E episodes of S decisions, all of the same length; they end because time runs out."""

    state: Tensor
    """(E, S+1, A) m and rad."""
    environment_state: Tensor
    """(E, S+1, K)."""
    last_action: Tensor
    """(E, S+1, A) in force at that observation."""
    base_action: Tensor
    """(E, S+1, A) what the base wanted then: kept, so that a slow base never runs twice for it."""
    correction: Tensor
    """(E, S, axes) in [−1, 1], shares of the reach."""
    reward: Tensor
    """(E, S)."""

    def __len__(self) -> int:
        return len(self.reward)

    def window(self, episode: Tensor, step: Tensor, history: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs of the residual network at (B,) steps of (B,) episodes; an episode's first observation repeats."""
        steps = (step[:, None] + torch.arange(1 - history, 1)).clamp_min(0)
        seen = episode[:, None], steps
        now = episode, step
        return self.state[seen], self.environment_state[seen], self.last_action[now], self.base_action[now]

    def latest(self, count: int) -> "Episodes":
        """The last of them."""
        return Episodes(**{name: value[-count:] for name, value in vars(self).items()})


def joined(first: Episodes, second: Episodes) -> Episodes:
    """All of both."""
    return Episodes(**{field.name: torch.cat([getattr(one, field.name) for one in (first, second)])
                       for field in fields(Episodes)})  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """B decisions, each with what came of it."""

    now: Tensor
    """(B, F) features."""
    soon: Tensor
    """(B, F) one decision later."""
    then: Tensor
    """(B, F) after n decisions, or at the episode's end."""
    correction: Tensor
    """(B, axes)."""
    reward: Tensor
    """(B,) discounted, of the decisions from now to then."""
    discount: Tensor
    """(B,) of what comes after."""


class Memory:
    """The teacher's episodes, and the latest of one's own.

    Args:
        capacity: own episodes kept.
        history: T, observations in a window.
        n_step: decisions whose rewards count as they were, before the critic's word counts.
        gamma: discount of a decision.
        demonstrated: share of a batch that is the teacher's.
    """

    def __init__(self, capacity: int, history: int, n_step: int, gamma: float, demonstrated: float) -> None:
        self._capacity, self._history, self._n_step = capacity, history, n_step
        self._gamma, self._share = gamma, demonstrated
        self.taught: Episodes | None = None
        self.own: Episodes | None = None

    def be_taught(self, episodes: Episodes) -> None:
        """The teacher's episodes, which stay."""
        self.taught = joined(self.taught, episodes) if self.taught else episodes

    def keep(self, episodes: Episodes) -> None:
        """Own episodes; the oldest give way."""
        self.own = (joined(self.own, episodes) if self.own else episodes).latest(self._capacity)

    def draw(self, count: int, features: Features) -> Batch:
        """A batch of ``count`` decisions, some of the teacher's."""
        assert self.own is not None
        if self.taught is None:
            return self._drawn(self.own, count, features)
        taught = round(self._share * count)
        halves = self._drawn(self.taught, taught, features), self._drawn(self.own, count - taught, features)
        return Batch(*(torch.cat([getattr(half, field.name) for half in halves]) for field in fields(Batch)))

    def _drawn(self, episodes: Episodes, count: int, features: Features) -> Batch:
        length = episodes.reward.shape[1]
        episode, step = torch.randint(len(episodes), (count,)), torch.randint(length, (count,))
        ahead = torch.arange(self._n_step)
        steps = step[:, None] + ahead
        rewards = episodes.reward[episode[:, None], steps.clamp_max(length - 1)]
        then = (step + self._n_step).clamp_max(length)
        looks = torch.cat([step, step + 1, then])
        now, soon, after = features(*episodes.window(episode.repeat(3), looks, self._history)).chunk(3)
        return Batch(
            now,
            soon,
            after,
            correction=episodes.correction[episode, step],
            reward=(rewards * (steps < length) * self._gamma**ahead).sum(1),
            discount=self._gamma ** (then - step).float(),
        )

    def tensors(self) -> dict[str, Tensor]:
        """All that is kept."""
        kinds = (("taught", self.taught), ("own", self.own))
        return {f"{kind}.{name}": value for kind, kept in kinds if kept for name, value in vars(kept).items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what ``tensors`` gave."""
        for kind in ("taught", "own"):
            found = {name.removeprefix(f"{kind}."): value for name, value in tensors.items() if name.startswith(kind)}
            setattr(self, kind, Episodes(**found) if found else None)
