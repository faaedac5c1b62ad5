"""The five numbers that describe a target, whoever measured it: a detector in the image, or geometry in the simulator.

===  ==================  ====  ============  =========================================================
 #   name                unit  range         meaning
===  ==================  ====  ============  =========================================================
 0   target_right        rad   −π … π        bearing right of the optical axis, when last seen
 1   target_below        rad   −π/2 … π/2    bearing below the optical axis, when last seen
 2   target_size         rad   0 … π/2       apparent radius, when last seen
 3   target_visible      1     0 or 1        whether the latest frame showed it
 4   target_age          s     0 … 1         time since the frame that last showed it was captured
===  ==================  ====  ============  =========================================================
"""

import numpy as np

from reachy_kit.runtime.interface import Array

TARGET_FEATURES: tuple[str, ...] = ("target_right", "target_below", "target_size", "target_visible", "target_age")
TARGET_UNITS: tuple[str, ...] = ("rad", "rad", "rad", "1", "s")
RIGHT, BELOW, SIZE, VISIBLE, AGE = range(5)
MAX_AGE = 1.0
"""s; an older sighting says no more than that it is old."""


class TargetMemory:
    """Holds the last sighting, so that a lost target keeps its place while its age grows."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing seen yet."""
        self._last: Array = np.zeros(3)
        self._seen_at = -np.inf

    def update(self, sighting: Array | None, captured: float, now: float) -> Array:
        """The features at ``now``.

        Args:
            sighting: (3,) rad: right, below, size; None when the frame shows no target.
            captured: s, when the frame was captured.
            now: s, the same clock.

        Returns:
            (5,) in the order of ``TARGET_FEATURES``.
        """
        if sighting is not None:
            self._last, self._seen_at = sighting, captured
        age = min(max(now - self._seen_at, 0.0), MAX_AGE)
        return np.array([*self._last, float(sighting is not None), age])
