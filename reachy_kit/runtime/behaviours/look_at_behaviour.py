"""look-at: looks in a direction, or at the target; at a target that moves it looks again once it has left the gaze.

Unlike ``track`` it keeps still as long as the target stays near the middle of its view.
Try it: reachy-kit run look-at:30,-10 --robot daemon
"""

import numpy as np

from reachy_kit.runtime.behaviours.behaviour_kind import Behaviour, BehaviourContext, BehaviourKind
from reachy_kit.runtime.behaviours.driving.pose_follower import PoseFollower
from reachy_kit.runtime.behaviours.driving.seen_target import looking
from reachy_kit.runtime.behaviours.driving.target_following import TargetFollowing
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import BODY_YAW, PITCH, YAW, Action, Array, Observation
from reachy_kit.runtime.kinematics.reach import in_reach

_LEFT_THE_GAZE = np.deg2rad(8.0)
"""Angle from the gaze beyond which it looks again, rad: people feel looked at up to 9° off (Gamer & Hecht 2007)."""
_FARTHEST_YAW, _FARTHEST_PITCH = 180.0, 30.0
"""Directions that may be given, degrees to either side."""


class LookThere:
    """Looks in a direction; it always wants to drive.

    Args:
        direction: (2,) rad, yaw and pitch in the base frame.
        hz: decisions per second.
    """

    features: tuple[str, ...] = ()
    carries_on = True

    def __init__(self, direction: Array, hz: int) -> None:
        self._direction, self._follower = direction, PoseFollower(hz)

    def reset(self) -> None:
        """Do nothing: a direction is not forgotten."""

    def wants_to_drive(self, observation: Observation) -> bool:
        """Always: it holds its gaze there."""
        return True

    def start(self, observation: Observation, speed: Array) -> None:
        """Begin where the robot is, at its speed."""
        self._follower.start(observation.action_in_force, speed)

    def act(self, observation: Observation) -> Action:
        """The (9,) target on the way there."""
        return self._follower.follow(looking(self._direction, observation.action_in_force[BODY_YAW]))


class LookAtTarget(TargetFollowing):
    """Looks at a target that perception sees, and keeps still while it stays near the middle of the view."""

    def start(self, observation: Observation, speed: Array) -> None:
        """Begin where the robot is, at its speed, and look at the target."""
        super().start(observation, speed)
        self._direction = self._target.direction.place

    def act(self, observation: Observation) -> Action:
        """The (9,) target on the way to where the target was when it looked last."""
        place, gaze = self._target.direction.place, observation.state[[YAW, PITCH]]
        if (
            np.hypot(*(place - self._direction)) > _LEFT_THE_GAZE
            or np.hypot(*(self._direction - gaze)) > _LEFT_THE_GAZE
        ):
            self._direction = place
        return self._follower.follow(looking(self._direction, observation.action_in_force[BODY_YAW]))


def _open(context: BehaviourContext) -> Behaviour:
    if not context.argument:
        return LookAtTarget(context.hz)
    return LookThere(_read_direction(context.argument), context.hz)


def _read_direction(text: str) -> Array:
    """(2,) rad of ``YAW,PITCH`` in degrees.

    Raises:
        WrongUseError: it is something else, or cannot be looked at.
    """
    try:
        yaw, pitch = (float(part) for part in text.split(","))
    except ValueError:
        raise WrongUseError(
            f"look-at:{text} is not a direction; give degrees to the left and down, as in look-at:30,-10"
        ) from None
    if not (abs(yaw) <= _FARTHEST_YAW and abs(pitch) <= _FARTHEST_PITCH):  # NaN does not fit either
        raise WrongUseError(
            f"look-at:{text} does not fit: the robot looks up to {_FARTHEST_YAW:.0f}° to either side and up to "
            f"{_FARTHEST_PITCH:.0f}° up and down"
        )
    direction = np.deg2rad([yaw, pitch])
    pose = looking(direction, 0.0)
    if not in_reach(pose).all():
        raise WrongUseError(f"look-at:{text} does not fit: the head does not reach that far down or up. Take less")
    return direction


BEHAVIOUR = BehaviourKind(
    summary="looks in a direction, degrees left and down, or, without one, at the target",
    open=_open,
    argument="YAW,PITCH",
    task="look_at",
)
