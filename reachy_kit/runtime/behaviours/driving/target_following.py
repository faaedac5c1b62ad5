"""What behaviours that follow a target have in common: when they drive, and how they begin."""

from reachy_kit.runtime.behaviours.driving.pose_follower import PoseFollower
from reachy_kit.runtime.behaviours.driving.seen_target import SeenTarget
from reachy_kit.runtime.interface import Array, Observation
from reachy_kit.runtime.perception.target import TARGET_FEATURES


class TargetFollowing:
    """A behaviour without its decisions: it wants to drive while perception sees the target.

    Args:
        hz: decisions per second.
    """

    features = TARGET_FEATURES
    carries_on = True

    def __init__(self, hz: int) -> None:
        self._target, self._follower = SeenTarget(hz), PoseFollower(hz)

    def reset(self) -> None:
        """Forget the target of the episode before."""
        self._target.forget()

    def wants_to_drive(self, observation: Observation) -> bool:
        """While the target is in view, and ``PATIENCE`` longer."""
        return self._target.update(observation)

    def start(self, observation: Observation, speed: Array) -> None:
        """Begin where the robot is, at its speed.

        Args:
            observation: the one that the first decision answers.
            speed: (9,) per s, at which the robot is commanded to move.
        """
        self._follower.start(observation.action_in_force, speed)
