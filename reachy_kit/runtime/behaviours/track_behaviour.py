"""track: keeps the gaze on a target that moves, and lets go one second after it has lost it.

Try it: reachy-kit run track idle --robot daemon
"""

import numpy as np

from reachy_kit.runtime.behaviours.behaviour_kind import BehaviourContext, BehaviourKind
from reachy_kit.runtime.behaviours.driving.seen_target import MOTOR_DELAY, looking
from reachy_kit.runtime.behaviours.driving.target_following import TargetFollowing
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, NEUTRAL, PITCH, YAW, Action, Array, Observation

_AVERAGING = 0.06
"""Time by which the averaged speed of a target lags behind, s. Chosen: beyond it the gaze error hardly falls."""
_ANTENNAS_UP = (-0.6, 0.6)
"""Antennas spread, [right, left] rad: the robot's way of looking pleased."""
_ON_TARGET = np.deg2rad(8.0)
"""Angle between gaze and target within which the antennas rise, rad."""
_TRIM, _MOST_TRIM = 1.0, 0.1
"""Share of the remaining error that is added per second, against play and weak motors, and the most of it, rad."""


class Track(TargetFollowing):
    """Follows a target that perception sees.

    Args:
        hz: decisions per second.
    """

    def __init__(self, hz: int) -> None:
        super().__init__(hz)
        self._hz = hz

    def start(self, observation: Observation, speed: Array) -> None:
        """Begin where the robot is, at its speed, without a trim."""
        super().start(observation, speed)
        self._trim: Array = np.zeros(2)

    def act(self, observation: Observation) -> Action:
        """The (9,) target that looks where the target will be."""
        aim, speed = self._target.direction.ahead(observation.capture_time + MOTOR_DELAY + _AVERAGING)
        measured = observation.state[[YAW, PITCH]]
        off = self._target.direction.ahead(observation.capture_time)[0] - measured
        on_target = float(np.hypot(*off)) < _ON_TARGET
        if on_target:
            self._trim = np.clip(self._trim + _TRIM / self._hz * off, -_MOST_TRIM, _MOST_TRIM)
        pose = looking(aim + self._trim, observation.action_in_force[BODY_YAW])
        pose[ANTENNAS] = _ANTENNAS_UP if on_target else NEUTRAL[ANTENNAS]
        moving = np.zeros_like(pose)
        moving[[YAW, PITCH]] = speed
        return self._follower.follow(pose, moving)


def _open(context: BehaviourContext) -> Track:
    return Track(context.hz)


BEHAVIOUR = BehaviourKind(
    summary="keeps its gaze on the target (see --target) while that is in view",
    open=_open,
    task="track",
)
