"""Getting up and lying down: gentle ways from where the robot is to neutral and to the sleep pose, tick by tick."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from reachy_kit.runtime.interface import BODY_YAW, CONTROL_HZ, NEUTRAL, PITCH, ROLL, SLEEP, YAW, Action, Array
from reachy_kit.runtime.kinematics.reach import draw_back, in_reach, neutral_over
from reachy_kit.runtime.safety import RESTING, Motion

_NEUTRAL_SECONDS, _SLEEP_SECONDS = 0.5, 1.5
"""Shortest times of the ways to neutral and to the sleep pose, s."""
_PEAK = 1.875
"""Highest speed of a way with the least jerk, in mean speeds."""
_REACHED = 1e-3
"""m and rad: deviation from a pose with which the command has arrived there."""
_LATE_TICKS = 500
"""Ticks behind the schedule after which a way is given up; 10 s."""
_SIDEWAYS = 0.05
"""rad: a robot that looks further to the side lies down over neutral."""
_LOWERED_WITHIN = 0.05
"""m and rad: deviation of the measured pose from the sleep pose that is waited for."""
_LOWERED_TICKS = 25
"""Longest wait for that, ticks."""
_LIES_WITHIN: Array = np.array([0.015, 0.3, 0.3])
"""Deviation of the measured height, roll and pitch from the sleep pose with which the head still lies, m and rad. A
limp leg leaves up to 0.010 m and 0.25 rad in the physics of the daemon's simulation; at neutral it is 0.044 m away."""
_LIES_TICKS = 3
"""Ticks in a row that show it: a head that is pulled to and fro may pass by."""
_HEIGHT = 2


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


def is_in_reach(state: Array) -> bool:
    """Whether the legs hold a (9,) measured pose, or one so near that a command there does not lead too far.

    A command that no legs reach is not carried out, and one that leads too far over the measured pose waits for it.
    """
    near = draw_back(state, neutral_over(state), in_reach(state))
    return bool((np.abs(near - state) <= RESTING.lead).all())


def get_up(ways: Ways) -> bool:
    """Go to neutral; returns whether the robot was commanded all the way."""
    return _go(ways, NEUTRAL, _NEUTRAL_SECONDS)


def lower(ways: Ways) -> bool:
    """Go to the sleep pose, over neutral if the robot looks sideways; returns whether the head lies, as measured."""
    if np.abs(ways.link.motion.position[[ROLL, YAW, BODY_YAW]]).max() > _SIDEWAYS:
        _go(ways, NEUTRAL, _NEUTRAL_SECONDS)
    _go(ways, SLEEP, _SLEEP_SECONDS)
    lying = 0
    for _ in range(_LOWERED_TICKS):
        state = ways.link.measured()
        if np.abs(state - SLEEP).max() <= _LOWERED_WITHIN:
            return True
        lying = lying + 1 if lies(state) else 0
        ways.send(SLEEP)
        ways.wait_next_tick()
    return lying >= _LIES_TICKS


def lies(state: Array) -> bool:
    """Whether the head of a (9,) measured pose rests low: without its motors it does not drop."""
    tilt = [_HEIGHT, ROLL, PITCH]
    return bool((np.abs(state[tilt] - SLEEP[tilt]) <= _LIES_WITHIN).all())


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
        if tick > ticks + _LATE_TICKS:  # after each stall the way of an antenna that does not follow begins again
            return bool(np.abs(applied - goal)[: BODY_YAW + 1].max() <= _REACHED)
    raise AssertionError


def _share_of_way(time: float) -> float:
    """Share of the way after a share of the time, with the least jerk: at rest at both ends."""
    return time**3 * (10 - 15 * time + 6 * time**2)
