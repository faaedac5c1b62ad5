"""Motion towards a pose that may move: critically damped, calm, and slow enough for the limiter to let it pass."""

import numpy as np

from reachy_kit.runtime.behaviours.driving.free_speed import free_speed
from reachy_kit.runtime.interface import BODY_YAW, NEUTRAL, YAW, Action, Array
from reachy_kit.runtime.safety import CLASSROOM

_QUICKNESS = 6.0
"""Natural frequency, rad/s: a step of a few degrees has settled after half a second."""
_SHARE = 0.95
"""Share of the free speed that is used."""
_ACCELERATION_SHARE = 1 / 6
"""Share of the limiter's acceleration: 5 rad/s² for the head, which reaches its full speed in a tenth of a second."""
_WITHIN = np.deg2rad(55.0)
"""Largest angle between head and body on the way, rad; the limiter permits 60°."""


class PoseFollower:
    """Follows a (9,) pose.

    Args:
        hz: decisions per second.
    """

    def __init__(self, hz: int) -> None:
        self._hz = hz
        self._fastest = _SHARE * free_speed()
        self._change = _ACCELERATION_SHARE * CLASSROOM.acceleration / hz
        self.start(NEUTRAL)

    def start(self, pose: Array, speed: Array | None = None) -> None:
        """Begin at a (9,) pose, at a speed of (9,) per s; None for at rest."""
        moving = np.zeros_like(pose) if speed is None else speed
        self._place, self._speed = pose.copy(), np.clip(moving, -self._fastest, self._fastest)

    def follow(self, goal: Array, speed: Array | None = None) -> Action:
        """The (9,) target of the next decision.

        Args:
            goal: (9,) pose to reach by then.
            speed: (9,) per s, at which it moves; None while it stands still.
        """
        moving = np.zeros_like(goal) if speed is None else speed
        goal = goal.copy()
        body = self._place[BODY_YAW]
        goal[YAW] = np.clip(goal[YAW], body - _WITHIN, body + _WITHIN)
        wanted = _QUICKNESS**2 * (goal - self._place) + 2 * _QUICKNESS * (moving - self._speed)
        self._speed = self._speed + np.clip(wanted / self._hz, -self._change, self._change)
        self._speed = np.clip(self._speed, -self._fastest, self._fastest)
        self._place = self._place + self._speed / self._hz
        return self._place.copy()
