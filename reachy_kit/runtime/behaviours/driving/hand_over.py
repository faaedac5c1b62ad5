"""Hand-over from one behaviour to the next without a jump, in position or in speed.

Only the new behaviour is asked. The motion that the robot had fades out within a tenth of a second, and the weight of
the new behaviour's targets grows, the more slowly the farther they are: the commanded pose is always between the two.
"""

import numpy as np

from reachy_kit.runtime.behaviours.driving.free_speed import free_speed
from reachy_kit.runtime.interface import NEUTRAL, Action, Array

SHORTEST = 0.4
"""Shortest hand-over, s: about what a person's head needs to change its mind."""
_COASTING = 0.12
"""Time constant with which the motion of before fades, s."""
_SHARE = 0.45
"""Share of the free speed that the way to the new targets may take; the rest is left to what they do themselves."""
_PEAK_SPEED = 15 / 8
"""Largest slope of the quintic from 0 to 1 in unit time (Flash & Hogan 1985: the way with the least jerk)."""


class HandOver:
    """Eases over to a behaviour's targets.

    Args:
        hz: decisions per second.
    """

    def __init__(self, hz: int) -> None:
        self._hz = hz
        self.reset()

    def reset(self) -> None:
        """Begin an episode: the robot stands still."""
        self._previous: Array | None = None
        self._place: Array = NEUTRAL.copy()
        self._speed: Array = np.zeros(len(NEUTRAL))
        self._seconds, self._since, self._begins, self._skips = 0.0, 0.0, False, False

    def begin(self) -> None:
        """Ease over to the targets of another behaviour from this decision on."""
        self._begins, self._skips = True, False

    def skip(self) -> None:
        """Take the targets of another behaviour as they are: it carries the motion on by itself.

        A motion above the free speed, as of a recorded dance, it cannot carry on: that fades out as everywhere else.
        """
        self._begins, self._skips, self._since = False, True, self._seconds

    def speed(self, in_force: Action) -> Array:
        """(9,) per s, at which the robot is commanded to move now.

        Args:
            in_force: (9,) the action in force.
        """
        return np.zeros_like(in_force) if self._previous is None else (in_force - self._previous) * self._hz

    def target(self, wanted: Action, in_force: Action) -> Action:
        """What to command: between the motion of before and the behaviour's wish.

        Args:
            wanted: (9,) the behaviour's target for this decision.
            in_force: (9,) the action in force, which the target before has led to.
        """
        if self._skips:
            self._begins, self._skips = bool((np.abs(self.speed(in_force)) > free_speed()).any()), False
        if self._begins:
            self._begins, self._since = False, 0.0
            self._place, self._speed = in_force.copy(), self.speed(in_force)
            way = np.abs(wanted - in_force)
            self._seconds = max(SHORTEST, float((_PEAK_SPEED * way / (_SHARE * free_speed())).max()))
        self._previous = in_force.copy()
        self._since += 1 / self._hz
        share = self._since / self._seconds if self._seconds else 1.0
        if share >= 1:
            return wanted
        coasting = self._place + self._speed * _COASTING * (1 - np.exp(-self._since / _COASTING))
        return np.asarray(coasting + share**3 * (10 - 15 * share + 6 * share**2) * (wanted - coasting))
