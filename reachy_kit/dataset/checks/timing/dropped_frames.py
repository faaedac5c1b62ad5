"""RK113. Dropped frames: single frames that are missing between others of the right rate."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.dataset.checks.timing.capture_gaps import gap_length

_MISSING = 1.75
"""Periods after which a frame is missing; one and a half is what a robot that publishes at 50 Hz gives at 25 Hz."""
_SHARE = 0.01
"""Share of the frames that may be missing."""


@register_check("RK113", "dropped frames", Aspect.TIMING)
def check_dropped_frames(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find episodes that lack frames, by the times of those that are there."""
    if episodes.times is None:
        return
    periods, places = episodes.steps(episodes.times)
    periods = periods * episodes.fps
    missing = np.where(
        (periods > _MISSING) & (periods <= gap_length(episodes) * episodes.fps), np.rint(periods) - 1, 0.0
    )
    lost = np.bincount(places, missing, minlength=len(episodes.indices))
    wrong = lost > _SHARE * episodes.lengths
    if not wrong.any():
        return
    worst = int(np.argmax(lost / episodes.lengths))
    named = episodes.named(wrong)
    yield Finding(
        f"{lost[wrong].sum():.0f} frames are missing; episode {episodes.indices[worst]} lacks {lost[worst]:.0f} of "
        f"{lost[worst] + episodes.lengths[worst]:.0f}",
        Severity.WARNING,
        remedy="Record with fewer programs beside it, at a lower rate or with smaller images"
        + ("; drop the worst" if episodes.drop_command(named) else ""),
        command=episodes.drop_command(named),
        episodes=named,
    )
