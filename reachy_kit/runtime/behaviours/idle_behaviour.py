"""idle: the robot breathes, its antennas sway, and its gaze wanders a little. It comes back to the middle slowly.

Try it: reachy-kit run idle --robot daemon
"""

import numpy as np

from reachy_kit.runtime.behaviours.behaviour_kind import BehaviourContext, BehaviourKind
from reachy_kit.runtime.interface import ANTENNAS, NEUTRAL, PITCH, YAW, Action, Array, Observation

_BREATH = 5.0
"""Length of a breath, s: twelve per minute, the lower end of what adults at rest do (12 to 20)."""
_RISE, _NOD = 0.004, np.deg2rad(1.5)
"""Amplitudes of the breath: the head's height, m, and its pitch, rad."""
_SWAY, _SWAY_PERIOD = np.deg2rad(6.0), 3.7
"""Amplitude and period of the antennas' sway, rad and s."""
_WANDER, _WANDER_PERIODS = np.deg2rad(4.0), (11.0, 17.0)
"""Amplitude of the gaze's wandering, rad, and the periods of its two parts, s: they meet again every three minutes."""


class Idle:
    """Breathing around the neutral pose; it always wants to drive.

    Args:
        hz: decisions per second.
    """

    features: tuple[str, ...] = ()
    carries_on = False

    def __init__(self, hz: int) -> None:
        self._hz = hz
        self.reset()

    def reset(self) -> None:
        """Begin a breath."""
        self._decisions = 0

    def wants_to_drive(self, observation: Observation) -> bool:
        """Always: there is nothing that it waits for."""
        return True

    def start(self, observation: Observation, speed: Array) -> None:
        """Begin a breath."""
        self._decisions = 0

    def act(self, observation: Observation) -> Action:
        """The (9,) target of this moment."""
        self._decisions += 1
        time = self._decisions / self._hz
        pose = NEUTRAL.copy()
        breath = _wave(time, _BREATH)
        pose[2] += _RISE * breath
        pose[PITCH] -= _NOD * breath
        pose[YAW] += 0.5 * _WANDER * sum(_wave(time, period) for period in _WANDER_PERIODS)
        pose[ANTENNAS] += _SWAY * _wave(time, _SWAY_PERIOD)
        return pose


def _wave(time: float, period: float) -> float:
    return float(np.sin(2 * np.pi * time / period))


def _open(context: BehaviourContext) -> Idle:
    return Idle(context.hz)


BEHAVIOUR = BehaviourKind(summary="breathes and looks about a little; the one to put last", open=_open)
