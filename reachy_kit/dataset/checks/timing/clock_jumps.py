"""RK114. Clocks that jump: times that run backwards, or stand still while the robot moves."""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check


@register_check("RK114", "a clock that jumps", Aspect.TIMING)
def check_clock_jumps(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find measurements that are older than the ones before, and times that hold nothing."""
    times = episodes.times
    if times is None or not len(times):
        return
    periods, places = episodes.steps(times)
    if not (periods > 0).any() and len(periods):
        yield Finding(
            "the capture times do not advance, so the real rate is not known: were they rounded to 32 bits?",
            Severity.WARNING,
            remedy="Copy the dataset again from where it was recorded, or ignore this if it is another program's",
        )
        return
    back = np.unique(places[periods < 0])
    if len(back):
        named = episodes.named(back)
        yield Finding(
            f"the clock runs backwards, by {-periods.min():.2f} s in episode "
            f"{episodes.indices[places[np.argmin(periods)]]}",
            Severity.WARNING,
            remedy="Drop the episodes: which frame followed which is not certain"
            if episodes.drop_command(named)
            else "Record again: which frame followed which is not certain",
            command=episodes.drop_command(named),
            episodes=named,
        )
