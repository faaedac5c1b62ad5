"""Films of the episodes that went worst, for a page."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.interface import Image
from reachy_policies.evaluation.compare import Compared
from reachy_policies.evaluation.groups import TrainingGroup

FPS = 5
"""Pictures a second of a film: a tenth of a second each to draw, and enough to see what goes wrong."""


@dataclass(frozen=True)
class Worst:
    """An episode that went badly."""

    group: TrainingGroup
    training: int
    """Place of its training."""
    variant: str
    seed: int
    """Of the episode."""
    error: float
    """rad, mean."""
    success: bool

    @property
    def words(self) -> str:
        """Under the picture."""
        training = self.group.trainings[self.training]
        of = self.group.name if training is None else f"{self.group.name}, training seed {training}"
        outcome = "succeeded" if self.success else "failed"
        return f"{of}: {self.variant}, episode {self.seed}, {np.rad2deg(self.error):.0f}° off on average, {outcome}"


def worst_episodes(compared: Compared, each: int) -> list[Worst]:
    """The episodes with the largest mean error of the first arm and of the last, each on a variant of its own."""
    chosen = []
    for group in dict.fromkeys([compared.groups[0].name, compared.groups[-1].name]):
        found = []
        for variant in compared.config.variants:
            scores = compared.scores[variant][group]
            row, column = np.unravel_index(int(np.argmax(scores.error)), scores.error.shape)
            found.append(
                Worst(
                    next(one for one in compared.groups if one.name == group),
                    int(row),
                    variant,
                    compared.config.seeds[int(column)],
                    float(scores.error[row, column]),
                    bool(scores.success[row, column]),
                )
            )
        chosen += sorted(found, key=lambda one: -one.error)[:each]
    return chosen


def encode(pictures: Sequence[Image]) -> bytes:
    """An MP4 that browsers play.

    Raises:
        ImportError: imageio or PyAV is missing; they come with the ``view`` extra.
    """
    import imageio.v3 as iio

    return bytes(iio.imwrite("<bytes>", np.stack(pictures), extension=".mp4", plugin="pyav", codec="libx264", fps=FPS))
