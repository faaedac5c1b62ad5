"""The last minute of a quantity: memory stays the same over days."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.interface import CONTROL_HZ, Array

RECENT = 60.0
"""Age up to which values count, s."""
WINDOW = round(RECENT * CONTROL_HZ)
"""Values that are kept: one per tick."""


@dataclass(frozen=True)
class Distribution:
    """A quantity over the window, and its count and sum since the start."""

    latest: float
    p50: float
    p99: float
    max: float
    count: int
    """Values since the start."""
    sum: float
    """Their sum."""


class RecentValues:
    """A ring of values that one thread adds to, and any thread reads.

    Args:
        window: values that are kept, however recent the others are.
        now: a clock, s.
    """

    def __init__(self, window: int = WINDOW, now: Callable[[], float] = time.monotonic) -> None:
        self._ring, self._times, self._window, self._now = np.zeros(window), np.zeros(window), window, now
        self._count, self._sum, self._latest = 0, 0.0, 0.0

    def add(self, value: float) -> None:
        """Add a value; this is all that the control loop pays for."""
        place = self._count % self._window
        self._ring[place] = self._latest = value
        self._times[place] = self._now()
        self._sum += value
        self._count += 1

    def recent(self) -> Array:
        """(N,) the kept values of the last minute, in any order."""
        kept = min(self._count, self._window)
        return self._ring[:kept][self._times[:kept] >= self._now() - RECENT]

    def distribution(self) -> Distribution | None:
        """Percentiles of the last minute; None without a value in it."""
        values = self.recent()
        if not len(values):
            return None
        p50, p99, longest = np.percentile(values, [50, 99, 100])
        return Distribution(self._latest, float(p50), float(p99), float(longest), self._count, self._sum)
