"""Scores of one group's trainings on one variant: arrays over trainings and episodes, and what summarises them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import Array
from reachy_policies.evaluation.statistics.intervals import Estimate, wilson_interval
from reachy_policies.evaluation.statistics.training_seeds import interquartile_mean_interval, mean_interval
from reachy_policies.rollouts.episode_batch import EpisodeBatch


@dataclass(frozen=True)
class Scores:
    """T trainings of a group × N episodes; the episodes are the same for every group."""

    trainings: tuple[int | None, ...]
    """(T,) training seeds; a single None for a policy without training."""
    success: npt.NDArray[np.bool_]
    """(T, N) outcome of each episode."""
    error: Array
    """(T, N) mean error after the first second, in the unit of ``Truth.task_error``."""
    reward: Array
    """(T, N) mean reward per decision, at most 1."""
    jerk: Array
    """(T, N) mean magnitude of the third derivative of the commanded angles, rad/s³."""
    action_rate: Array
    """(T, N) mean speed of the commanded angles, all axes together, rad/s."""
    demo_distance: Array
    """(T, N) root-mean-square distance of the commanded angles from the expert's, rad; NaN at another rate."""
    errors: npt.NDArray[np.float32]
    """(T, N, S) error after each decision, in the unit of ``Truth.task_error``."""
    hz: int
    """Decisions per second."""

    @classmethod
    def from_episodes(
        cls, trainings: Sequence[int | None], batches: Sequence[EpisodeBatch], expert: EpisodeBatch
    ) -> "Scores":
        """Score one ``EpisodeBatch`` per training; ``expert`` holds the same episodes, run by the expert."""
        return cls(
            tuple(trainings),
            np.stack([batch.success for batch in batches]),
            np.stack([batch.mean_error for batch in batches]),
            np.stack([batch.reward for batch in batches]),
            np.stack([batch.jerk for batch in batches]),
            np.stack([batch.action_rate for batch in batches]),
            np.stack([batch.distance(expert) for batch in batches]),
            np.stack([batch.error for batch in batches]).astype(np.float32),
            batches[0].hz,
        )

    @property
    def trained(self) -> bool:
        """Whether the group was trained at all."""
        return self.trainings != (None,)

    @property
    def rates(self) -> Array:
        """(T,) success rate of each training."""
        return np.asarray(self.success.mean(axis=1))

    @property
    def returns(self) -> Array:
        """(T,) mean reward of each training."""
        return np.asarray(self.reward.mean(axis=1))

    @property
    def success_rate(self) -> Estimate:
        """Mean over the trainings with a 95 % interval.

        One training: Wilson's interval over its episodes. Several: on each side the wider of the t-interval over
        trainings and Wilson's over all their episodes. Trainings that succeed in every episode do not differ, and yet
        a finite number of episodes leaves an uncertainty.
        """
        episodes = wilson_interval(int(self.success.sum()), self.success.size)
        if len(self.trainings) == 1:
            return episodes
        between = mean_interval(self.rates)
        low, high = max(0.0, min(between.low, episodes.low)), min(1.0, max(between.high, episodes.high))
        return Estimate(between.value, low, high)

    @cached_property
    def iqm_error(self) -> Estimate:
        """Interquartile mean error over trainings and episodes, with a bootstrap over trainings."""
        return interquartile_mean_interval(self.error)

    def gap_closed(self, expert: "Scores", oracle: "Scores") -> Array:
        """(T,) share of the way from the expert's mean error to the oracle's; NaN unless the oracle does better."""
        start, best = float(expert.error.mean()), float(oracle.error.mean())
        if start <= best:
            return np.full(len(self.trainings), np.nan)
        return np.asarray((start - self.error.mean(axis=1)) / (start - best))

    def select(self, rows: Sequence[int]) -> "Scores":
        """Keep the trainings at the given indices."""
        index = list(rows)
        parts = {name: getattr(self, name)[index] for name in _ARRAYS}
        return replace(self, trainings=tuple(self.trainings[row] for row in index), **parts)

    def replace_training(self, row: int, other: "Scores") -> "Scores":
        """Replace the training at an index by the only training of ``other``; the seed stays."""
        parts = {name: getattr(self, name).copy() for name in _ARRAYS}
        for name, values in parts.items():
            values[row] = getattr(other, name)[0]
        return replace(self, **parts)


def join_variants(parts: Sequence[Scores]) -> Scores:
    """Join several variants into one: their episodes side by side, each variant with the same weight.

    Episodes of different variants may differ in length; errors over time end with the shortest.
    """
    steps = min(part.errors.shape[2] for part in parts)
    cut = [replace(part, errors=part.errors[:, :, :steps]) for part in parts]
    return replace(cut[0], **{name: np.concatenate([getattr(part, name) for part in cut], axis=1) for name in _ARRAYS})


_ARRAYS = ("success", "error", "reward", "jerk", "action_rate", "demo_distance", "errors")
