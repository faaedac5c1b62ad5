"""Films of the worst episodes of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.interface import Image
from reachy_policies.evaluation.comparison import Comparison
from reachy_policies.evaluation.groups import TrainingGroup
from reachy_policies.evaluation.report.page import Media

FPS = 5
"""Images per second of a film. Rendering takes a tenth of a second per image, and five show what goes wrong."""


@dataclass(frozen=True)
class WorstEpisode:
    """An episode with a large error."""

    group: TrainingGroup
    training: int
    """Index of its training in the group."""
    variant: str
    seed: int
    """Seed of the episode."""
    error: float
    """Mean error, rad."""
    success: bool

    @property
    def caption(self) -> str:
        """Caption of the film."""
        training = self.group.trainings[self.training]
        policy = self.group.name if training is None else f"{self.group.name}, training seed {training}"
        outcome = "succeeded" if self.success else "failed"
        return f"{policy}: {self.variant}, episode {self.seed}, {np.rad2deg(self.error):.0f}° off on average, {outcome}"


def worst_episodes(comparison: Comparison, count: int) -> list[WorstEpisode]:
    """Find the episodes with the largest mean error, each on another variant.

    Args:
        comparison: scores of all groups.
        count: number of episodes of the first group, and of the last.
    """
    groups, chosen = comparison.groups, []
    for group in dict.fromkeys([0, len(groups) - 1]):
        episodes = [_worst_episode(comparison, groups[group], variant) for variant in comparison.config.variants]
        chosen += sorted(episodes, key=lambda episode: -episode.error)[:count]
    return chosen


def _worst_episode(comparison: Comparison, group: TrainingGroup, variant: str) -> WorstEpisode:
    scores = comparison.scores[variant][group.name]
    row, column = np.unravel_index(int(np.argmax(scores.error)), scores.error.shape)
    return WorstEpisode(
        group,
        int(row),
        variant,
        comparison.config.seeds[int(column)],
        float(scores.error[row, column]),
        bool(scores.success[row, column]),
    )


def encode_film(episode: WorstEpisode, images: Sequence[Image]) -> Media:
    """Encode the images of an episode as an MP4 that browsers play.

    Raises:
        ImportError: imageio or PyAV is missing; they come with the ``view`` extra.
    """
    import imageio.v3 as iio

    mp4 = iio.imwrite("<bytes>", np.stack(images), extension=".mp4", plugin="pyav", codec="libx264", fps=FPS)
    return Media("video/mp4", bytes(mp4), "film of the episode", episode.caption)
