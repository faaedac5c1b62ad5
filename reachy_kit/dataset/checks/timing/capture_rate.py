"""RK111. The rate at which frames were really captured, against the declared one.

LeRobot stamps frames index / fps, whatever happened. Where the loop was slow, every speed in the data is too high.
"""

from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.checked_episodes import CheckedEpisodes
from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_check
from reachy_kit.dataset.checks.timing.capture_gaps import gap_length
from reachy_kit.runtime.interface import Array
from reachy_kit.runtime.robots.loop_rate import MARKED, REFUSED

_MEASURABLE = 0.1
"""Difference below which nothing is concluded, s: the first and the last measurement may be one period old."""


def slowdowns(episodes: CheckedEpisodes) -> Array | None:
    """(E,) factor by which each episode took longer than its frames stand for; NaN where that cannot be measured.

    Gaps, which are findings of their own, are left out. None without usable times.
    """
    times = episodes.times
    if times is None or not len(times):
        return None
    periods, places = episodes.steps(times)
    steady = np.abs(periods) <= gap_length(episodes)
    real = np.bincount(places, np.where(steady, periods, 0.0), minlength=len(episodes.indices))
    nominal = np.bincount(places, steady, minlength=len(episodes.indices)) / episodes.fps
    if not (real > 0).any():
        return None  # of one value: another program's, or rounded to 32 bits
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where((nominal > 0) & (real > 0), real / nominal, np.nan)
    return np.where(np.abs(real - nominal) < _MEASURABLE, np.where(np.isnan(factor), np.nan, 1.0), factor)


@register_check("RK111", "another rate than the declared one", Aspect.TIMING, refuses=True)
def check_capture_rate(episodes: CheckedEpisodes) -> Iterator[Finding]:
    """Find episodes that were captured slower or faster than the dataset declares."""
    factors = slowdowns(episodes)
    if factors is None:
        return
    off = np.maximum(factors, 1 / np.where(factors > 0, factors, np.nan))  # NaN compares False
    for severity, wrong in (
        (Severity.ERROR, off > REFUSED),
        (Severity.WARNING, (off > MARKED) & ~(off > REFUSED)),
    ):
        if not wrong.any():
            continue
        worst = int(np.nanargmax(np.where(wrong, off, np.nan)))
        rate = episodes.fps / factors[worst]
        named = episodes.named(wrong)
        speed = "too high" if factors[worst] > 1 else "too low"
        yield Finding(
            f"declared {episodes.fps} frames per second, but episode {episodes.indices[worst]} was captured at "
            f"{rate:.1f}: its speeds read {100 * (off[worst] - 1):.0f} % {speed}",
            severity,
            remedy="Drop what is off, and record with fewer programs beside it or on the robot's own computer"
            if episodes.drop_command(named)
            else "Record again with fewer programs beside it, or on the robot's own computer",
            command=episodes.drop_command(named),
            episodes=named,
        )
