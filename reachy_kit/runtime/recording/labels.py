"""Labels of an episode: what a person says about it, beside what was measured."""

from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.recording.schema import OPERATOR, REWARD, SUCCESS, SUCCESS_MARK, Frame


@dataclass(frozen=True)
class EpisodeLabels:
    """A person's words about one episode."""

    instruction: str
    """The task in words, LeRobot's ``task`` column."""
    operator: str = ""
    """Pseudonym of the person who demonstrated; empty without one."""
    success: bool | None = None
    """The operator's mark; None where the episode was not marked."""


def label_frames(frames: list[Frame], labels: EpisodeLabels, *, world: bool) -> None:
    """Fill the columns that the labels decide, in place.

    Args:
        frames: of the episode.
        labels: of the episode.
        world: whether a world measured reward and success; otherwise the operator's mark becomes both.
    """
    mark = -1 if labels.success is None else int(labels.success)
    for frame in frames:
        frame[OPERATOR], frame[SUCCESS_MARK] = np.array([labels.operator]), np.array([mark])
    if labels.success and not world:
        frames[-1][SUCCESS] = np.array([True])
        frames[-1][REWARD] = np.array([1.0], dtype=np.float32)
