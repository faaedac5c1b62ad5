"""Films of the worst episodes of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.interface import Image
from reachy_policies.evaluation.comparison import Comparison, ComparisonConfig
from reachy_policies.evaluation.groups import TrainingGroup
from reachy_policies.evaluation.report.film_files import encode_mp4
from reachy_policies.evaluation.report.page import Media
from reachy_policies.evaluation.statistics.scores import Scores

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
    error: str
    """Mean error, in the unit that people read."""
    success: bool

    @property
    def caption(self) -> str:
        """Caption of the film."""
        training = self.group.trainings[self.training]
        policy = self.group.name if training is None else f"{self.group.name}, training seed {training}"
        outcome = "succeeded" if self.success else "failed"
        return f"{policy}: {self.variant}, episode {self.seed}, {self.error} off on average, {outcome}"


def worst_episodes(comparison: Comparison, count: int) -> list[WorstEpisode]:
    """Find the episodes with the largest mean error, each on another variant.

    Args:
        comparison: scores of all groups.
        count: number of episodes of the first group, and of the last.
    """
    groups, chosen = comparison.groups, []
    for group in dict.fromkeys([0, len(groups) - 1]):
        scores = {variant: comparison.scores[variant][groups[group].name] for variant in comparison.config.variants}
        variants = sorted(scores, key=lambda variant: -float(scores[variant].error.max()))[:count]
        chosen += [_worst_episode(comparison.config, groups[group], variant, scores[variant]) for variant in variants]
    return chosen


def _worst_episode(config: ComparisonConfig, group: TrainingGroup, variant: str, scores: Scores) -> WorstEpisode:
    row, column = np.unravel_index(int(np.argmax(scores.error)), scores.error.shape)
    return WorstEpisode(
        group,
        int(row),
        variant,
        config.seeds[int(column)],
        config.error.text(float(scores.error[row, column]), digits=0),
        bool(scores.success[row, column]),
    )


def encode_film(episode: WorstEpisode, images: Sequence[Image]) -> Media:
    """Encode the images of an episode as an MP4 that browsers play."""
    return Media("video/mp4", encode_mp4(images, FPS), "film of the episode", episode.caption)
