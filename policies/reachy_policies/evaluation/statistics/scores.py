"""What an arm's trainings did on one variant, and what that comes to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import Array
from reachy_policies.evaluation.statistics.intervals import Rate, wilson
from reachy_policies.evaluation.statistics.training_seeds import interquartile_mean_interval, mean_interval
from reachy_policies.rollouts.episode_batch import EpisodeBatch


@dataclass(frozen=True)
class Scores:
    """T trainings of an arm × N episodes, the same ones for everybody."""

    trainings: tuple[int | None, ...]
    """(T,) their seeds; a single None for what was not trained."""
    success: npt.NDArray[np.bool_]
    """(T, N)."""
    error: Array
    """(T, N) rad, mean after a first second."""
    reward: Array
    """(T, N) mean a decision, 1 at best."""
    jerk: Array
    """(T, N) rad/s³."""
    effort: Array
    """(T, N) rad/s."""
    style: Array
    """(T, N) rad, how far the motion was from the demonstrator's; NaN if its decisions come at another rate."""
    errors: npt.NDArray[np.float32]
    """(T, N, S) rad after each decision."""
    hz: int
    """Decisions a second."""

    @classmethod
    def of(cls, trainings: Sequence[int | None], played: Sequence[EpisodeBatch], shown: EpisodeBatch) -> "Scores":
        """Of one ``EpisodeBatch`` a training, and the same episodes as the demonstrator plays them."""
        return cls(
            tuple(trainings),
            np.stack([one.success for one in played]),
            np.stack([one.mean_error for one in played]),
            np.stack([one.reward for one in played]),
            np.stack([one.jerk for one in played]),
            np.stack([one.effort for one in played]),
            np.stack([one.distance(shown) for one in played]),
            np.stack([one.error for one in played]).astype(np.float32),
            played[0].hz,
        )

    @property
    def trained(self) -> bool:
        """Whether there was any training."""
        return self.trainings != (None,)

    @property
    def rates(self) -> Array:
        """(T,) success of each training."""
        return np.asarray(self.success.mean(axis=1))

    @property
    def returns(self) -> Array:
        """(T,) mean reward of each training."""
        return np.asarray(self.reward.mean(axis=1))

    @property
    def success_rate(self) -> Rate:
        """Mean over the trainings with a 95 % interval.

        One training: Wilson's, over its episodes. Several: the wider on either side of the t-interval over trainings
        and Wilson's over all their episodes, as trainings that all succeed everywhere do not differ, and yet so many
        episodes prove only so much.
        """
        episodes = wilson(int(self.success.sum()), self.success.size)
        if len(self.trainings) == 1:
            return episodes
        between = mean_interval(self.rates)
        return Rate(between.value, max(0.0, min(between.low, episodes.low)), min(1.0, max(between.high, episodes.high)))

    @cached_property
    def iqm_error(self) -> Rate:
        """rad: interquartile mean over trainings and episodes, with a bootstrap over trainings."""
        return interquartile_mean_interval(self.error)

    def gap_closed(self, expert: "Scores", oracle: "Scores") -> Array:
        """(T,) share of the way from the expert's mean error to the oracle's; NaN where the oracle is no better."""
        late, best = float(expert.error.mean()), float(oracle.error.mean())
        if late <= best:
            return np.full(len(self.trainings), np.nan)
        return np.asarray((late - self.error.mean(axis=1)) / (late - best))

    def only(self, rows: Sequence[int]) -> "Scores":
        """Some of the trainings, by their places."""
        index = list(rows)
        parts = {name: getattr(self, name)[index] for name in _ARRAYS}
        return replace(self, trainings=tuple(self.trainings[row] for row in index), **parts)

    def with_row(self, row: int, one: "Scores") -> "Scores":
        """The only training of another in a training's place."""
        parts = {name: getattr(self, name).copy() for name in _ARRAYS}
        for name, values in parts.items():
            values[row] = getattr(one, name)[0]
        return replace(self, **parts)


def joined(parts: Sequence[Scores]) -> Scores:
    """Several variants as one: their episodes side by side, each variant with the same weight.

    Variants may last differently long; errors over time end with the shortest.
    """
    steps = min(one.errors.shape[2] for one in parts)
    cut = [replace(one, errors=one.errors[:, :, :steps]) for one in parts]
    return replace(cut[0], **{name: np.concatenate([getattr(one, name) for one in cut], axis=1) for name in _ARRAYS})


_ARRAYS = ("success", "error", "reward", "jerk", "effort", "style", "errors")
