"""The five features of a target, measured by a detector in the image or from the simulator's geometry."""

import numpy as np

from reachy_kit.runtime.interface import Array
from reachy_kit.runtime.perception.features import Feature, register_features

MAX_AGE = 1.0
"""Largest age of a sighting, s; older ones are reported with this age."""
TARGET_FEATURES = register_features(
    Feature("target_right", "rad", -np.pi, np.pi, "bearing right of the optical axis, when last seen"),
    Feature("target_below", "rad", -np.pi, np.pi, "bearing below the optical axis, when last seen"),
    Feature("target_size", "rad", 0.0, np.pi, "apparent radius of a ball of 35 mm there, when last seen"),
    Feature("target_visible", "1", 0.0, 1.0, "whether the latest frame showed it"),
    Feature("target_age", "s", 0.0, MAX_AGE, "time since the frame that last showed it was captured"),
)
RIGHT, BELOW, SIZE, VISIBLE, AGE = range(5)
SIZE_RADIUS = 0.035
"""Radius to whose apparent size ``target_size`` refers, m: that of the ball on which policies are trained. So the same
number means the same distance, whatever the target."""


def size_at(distance: float) -> float:
    """``target_size`` of a target at a distance, rad.

    Args:
        distance: m from the camera.
    """
    return float(np.arcsin(min(SIZE_RADIUS / distance, 1.0)))


class TargetMemory:
    """Holds the last sighting, so that a lost target keeps its place while its age grows."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the last sighting."""
        self._last: Array = np.zeros(3)
        self._seen_at = -np.inf

    def update(self, sighting: Array | None, captured: float, now: float) -> Array:
        """The features at ``now``.

        Args:
            sighting: (3,) rad: right, below, size; None when the frame shows no target.
            captured: s, when the frame was captured.
            now: s, the same clock.

        Returns:
            (5,) in the order of ``TARGET_FEATURES``. A frame that is ``MAX_AGE`` old, as a camera that has stopped
            delivers it, shows nothing.
        """
        if sighting is not None:
            self._last, self._seen_at = sighting, captured
        age = min(max(now - self._seen_at, 0.0), MAX_AGE)
        return np.array([*self._last, float(sighting is not None and age < MAX_AGE), age])
