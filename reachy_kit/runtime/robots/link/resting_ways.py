"""Getting up and lying down: gentle ways from where the robot is to neutral and to the sleep pose, tick by tick."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from reachy_kit.runtime.interface import BODY_YAW, CONTROL_HZ, NEUTRAL, ROLL, SLEEP, YAW, Action, Array
from reachy_kit.runtime.safety import RESTING, Motion

_NEUTRAL_SECONDS, _SLEEP_SECONDS = 0.5, 1.5
"""Shortest times of the ways to neutral and to the sleep pose, s."""
_PEAK = 1.875
"""Highest speed of a way with the least jerk, in mean speeds."""
_REACHED = 1e-3
"""m and rad: deviation from a pose with which the command has arrived there."""
_LATE_TICKS = 500
"""Ticks behind the schedule after which a way is given up; 10 s."""
_LOWERED_WITHIN = 0.05
"""m and rad: deviation of the measured pose from the sleep pose with which the robot lies."""
_LOWERED_TICKS = 25
"""Longest wait for that, ticks."""


class _Link(Protocol):
    """What a way needs of the robot."""

    motion: Motion

    def measured(self) -> Array:
        """(9,) now."""
        ...


@dataclass(frozen=True)
class Ways:
    """How the robot is moved."""

    link: _Link
    """At rest."""
    send: Callable[[Action], Action]
    """Limits and commands a (9,) target; returns what was applied."""
    wait_next_tick: Callable[[], None]


def get_up(ways: Ways) -> bool:
    """Go to neutral; returns whether the robot was commanded all the way."""
    return _go(ways, NEUTRAL, _NEUTRAL_SECONDS)


def lower(ways: Ways) -> None:
    """Go to the sleep pose, over neutral if the robot looks sideways, and wait until it lies."""
    if np.abs(ways.link.motion.position[[ROLL, YAW, BODY_YAW]]).max() > _LOWERED_WITHIN:
        _go(ways, NEUTRAL, _NEUTRAL_SECONDS)
    _go(ways, SLEEP, _SLEEP_SECONDS)
    for _ in range(_LOWERED_TICKS):
        if np.abs(ways.link.measured() - SLEEP).max() <= _LOWERED_WITHIN:
            return
        ways.send(SLEEP)
        ways.wait_next_tick()


def _go(ways: Ways, goal: Array, seconds: float) -> bool:
    """Go to a (9,) pose on a way that starts and ends gently; returns whether the command has arrived.

    Args:
        ways: how.
        goal: where to.
        seconds: shortest time for it, s; a long way takes longer.
    """
    start = ways.link.motion.position
    fastest = float((np.abs(goal - start) * _PEAK / RESTING.speed).max())
    ticks = CONTROL_HZ * max(seconds, fastest)
    for tick in itertools.count(1):
        applied = ways.send(start + _share_of_way(min(tick / ticks, 1.0)) * (goal - start))
        ways.wait_next_tick()
        if tick >= ticks and np.abs(applied - goal).max() <= _REACHED:
            return True
        if tick > ticks + _LATE_TICKS:
            return False
    raise AssertionError


def _share_of_way(time: float) -> float:
    """Share of the way after a share of the time, with the least jerk: at rest at both ends."""
    return time**3 * (10 - 15 * time + 6 * time**2)
