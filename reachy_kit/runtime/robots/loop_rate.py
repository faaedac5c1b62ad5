"""The control loop's real rate against its nominal one: when an episode counts as late, and when it is not kept.

A dataset's timestamps are index / fps, whatever really happened. Where the loop was late, every speed in the data is
too high by that factor, and a policy that learned from it moves too fast. A simulation has its own clock and is never
late. Try it: reachy-kit run look_at.bundle --robot daemon
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.interface import CONTROL_HZ, Episode

NOMINAL_MS = 1000 / CONTROL_HZ
"""Nominal period of a tick, ms."""
MARKED = 1.05
"""Slowdown above which people are warned. Measured on two cores: 1.00 when idle, 1.01 with five busy programs."""
REFUSED = 1.2
"""Slowdown above which an episode is not recorded: the one place where this bound stands.

Beyond it every speed in the data is more than a fifth too high. A stall of 0.7 s in an episode of 3.5 s reaches it."""
_MEASURABLE = 0.1
"""Delay below which nothing is concluded, s: the first and the last measurement may be one period of the daemon old."""
LATE_PERIOD = 1.5 / CONTROL_HZ
"""Period above which a tick counts as late, s: one and a half nominal ones. The one place where this bound stands."""


@dataclass(frozen=True)
class LoopRate:
    """Rate of the control loop over one or several episodes on a wall clock."""

    p50: float
    """Median period of a tick, ms."""
    p99: float
    """99th percentile of the period, ms."""
    longest: float
    """Longest period, ms."""
    late: float
    """Share of the ticks that took more than one and a half periods."""
    slowdown: float
    """Largest factor by which an episode took longer than its steps stand for; 1 at best."""

    def text(self) -> str:
        """Write it as people read it."""
        return (
            f"control loop: period p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms, max {self.longest:.1f} ms "
            f"(nominal {NOMINAL_MS:.0f} ms); {100 * self.late:.1f} % of the ticks late; the slowest episode took "
            f"{self.slowdown:.2f} times its nominal length"
        )

    def summary(self) -> dict[str, float]:
        """Return it as JSON."""
        return {
            "nominal_ms": NOMINAL_MS,
            "p50_ms": round(self.p50, 3),
            "p99_ms": round(self.p99, 3),
            "max_ms": round(self.longest, 3),
            "late_ticks": round(self.late, 4),
            "slowdown": round(self.slowdown, 4),
        }


def measure_rate(episodes: Sequence[Episode]) -> LoopRate:
    """The loop's rate over some episodes.

    Args:
        episodes: on a robot that keeps the wall clock's pace.

    Returns:
        The rate; NaN where there were fewer than two ticks.
    """
    periods = np.concatenate([episode.periods for episode in episodes])
    slowdown = max(episode.slowdown for episode in episodes)
    if not len(periods):
        return LoopRate(np.nan, np.nan, np.nan, np.nan, slowdown)
    p50, p99, longest = np.percentile(1e3 * periods, [50, 99, 100])
    return LoopRate(float(p50), float(p99), float(longest), float(np.mean(periods > LATE_PERIOD)), slowdown)


def is_late(episode: Episode, bound: float = MARKED) -> bool:
    """Whether an episode took longer than it should have, by more than a factor and by more than can be mismeasured."""
    return episode.slowdown > bound and episode.seconds - episode.nominal_seconds > _MEASURABLE


def describe_delay(episode: Episode) -> str:
    """Say in words how late an episode was, and what to do."""
    return (
        f"took {episode.seconds:.2f} s instead of {episode.nominal_seconds:.2f} s: this computer, or the connection to "
        f"the robot, is too busy for {CONTROL_HZ} ticks per second. Close other programs, or run on the robot's own "
        "computer"
    )


def late_warning(episodes: Sequence[Episode]) -> str | None:
    """A warning about the episodes that were late, in one line.

    Args:
        episodes: in the order in which they ran.

    Returns:
        The line; None where all kept the rate.
    """
    late = [episode for episode in episodes if is_late(episode)]
    if not late:
        return None
    worst = max(late, key=lambda episode: episode.slowdown)
    return (
        f"the control loop was late in {len(late)} of {len(episodes)} episodes; "
        f"episode {worst.seed} {describe_delay(worst)}"
    )
