"""RK112. Gaps: stretches without a frame in the middle of an episode."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check

_LONG = 0.25
"""Gap that counts, s: the robot moves on, and the next frame does not follow from the one before."""


def gap_length(episodes: CheckedEpisodes) -> float:
    """Time between two frames above which it is a gap, s."""
    return max(_LONG, 2.5 / episodes.fps)


@register_check("RK112", "gaps", Aspect.TIMING)
def check_capture_gaps(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find frames that came long after the one before."""
    if episodes.times is None:
        return
    periods, places = episodes.steps(episodes.times)
    gaps = periods > gap_length(episodes)
    if not gaps.any():
        return
    worst = int(np.argmax(periods))
    named = episodes.named(np.unique(places[gaps]))
    row = int(np.flatnonzero(episodes.followed(1))[worst])
    frame = row - int(episodes.starts[places[worst]])
    yield Finding(
        f"{np.count_nonzero(gaps)} gap{'s' if np.count_nonzero(gaps) > 1 else ''}; the longest is "
        f"{periods[worst]:.2f} s, after frame {frame} of episode {episodes.indices[places[worst]]}",
        Severity.WARNING,
        remedy="Drop the episodes, or trim them to the part before or after the gap",
        command=episodes.drop_command(named),
        episodes=named,
    )
