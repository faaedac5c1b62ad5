"""The last few thousand values of a quantity: memory stays the same over days."""

from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.interface import CONTROL_HZ, Array

WINDOW = 60 * CONTROL_HZ
"""Values that are kept: those of the last minute of ticks."""


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
        window: values that are kept.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._ring, self._window = np.zeros(window), window
        self._count, self._sum, self._latest = 0, 0.0, 0.0

    def add(self, value: float) -> None:
        """Add a value; this is all that the control loop pays for."""
        self._ring[self._count % self._window] = self._latest = value
        self._sum += value
        self._count += 1

    def recent(self) -> Array:
        """(N,) the kept values, in any order."""
        return self._ring[: min(self._count, self._window)].copy()

    def distribution(self) -> Distribution | None:
        """Percentiles of the kept values; None before the first."""
        values = self.recent()
        if not len(values):
            return None
        p50, p99, longest = np.percentile(values, [50, 99, 100])
        return Distribution(self._latest, float(p50), float(p99), float(longest), self._count, self._sum)
