"""Whether what a behaviour follows is there: not for a single frame, and not gone at the first gap."""

from enum import Enum

import numpy as np

from reachy_kit.runtime.interface import Observation

SURE_AFTER = 0.06
"""Time for which something must be sensed before it counts, s: longer than one false detection at 30 frames/s."""
_SIGHTINGS = 2
"""Sightings before it counts: a frame of the daemon's ten per second, and so a false detection, lasts 0.1 s."""
_SAME = 1e-3
"""Difference of two capture times that is rounding, s."""
_SOONEST = 0.03
"""Time within which no second frame is captured, s: a thirtieth of a second passes between two."""


class Sighting(Enum):
    """What the features of a decision add to those of the decisions before."""

    NOTHING = "nothing is sensed, or what was sensed before"
    NEW = "something is sensed that was captured later"
    DATED = "what was sensed before, whose capture time is known only now"


class Presence:
    """Presence of what the last two features of a behaviour report: whether it is sensed now, and its age in s.

    A frame may be newer than the measurements beside which it is seen. Its age is then reported as zero, and only the
    next decision's age tells when it was captured.

    Args:
        hz: decisions per second.
        lasts: time after the last sensing for which it still counts as there, s.
    """

    def __init__(self, hz: int, lasts: float) -> None:
        self._hz, self._lasts = hz, lasts
        self.forget()

    def forget(self) -> None:
        """Begin an episode in which nothing was sensed."""
        self._sensed_for, self._absent_for, self._present = 0.0, 0.0, False
        self._sightings, self._dated = 0, True
        self.sighting = Sighting.NOTHING
        """What the last decision's features have added."""
        self.captured = -np.inf
        """Time at which what was sensed last was captured, s on the robot's clock."""

    def update(self, observation: Observation) -> bool:
        """Take the next decision's observation; whether it is there."""
        features = observation.environment_state
        assert features is not None, "perception yields the features"
        sensed = features[-2] > 0
        self.sighting = self._sight(observation.capture_time, features[-1]) if sensed else Sighting.NOTHING
        if sensed:
            self._sightings += self.sighting is Sighting.NEW
            self._sensed_for += 1 / self._hz
            self._absent_for = 0.0
            self._present |= self._sensed_for >= SURE_AFTER and self._sightings >= _SIGHTINGS
        else:
            self._sensed_for, self._sightings = 0.0, 0
            self._absent_for += 1 / self._hz
            self._present = self._present and self._absent_for < self._lasts
        return self._present

    def _sight(self, now: float, age: float) -> Sighting:
        """Tell a new frame from the one before."""
        later = now - age - self.captured
        if later < _SAME:
            return Sighting.NOTHING
        sighting = Sighting.DATED if age > 0 and not self._dated and later < _SOONEST else Sighting.NEW
        self.captured, self._dated = now - age, age > 0
        return sighting
