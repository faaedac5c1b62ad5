"""sound-orient: turns to the person who speaks, and keeps facing there for a while.

Try it: reachy-kit run sound-orient idle --robot daemon --microphone default
"""

import numpy as np

from reachy_kit.runtime.behaviours.behaviour_kind import BehaviourContext, BehaviourKind
from reachy_kit.runtime.behaviours.driving.pose_follower import PoseFollower
from reachy_kit.runtime.behaviours.driving.presence import Presence, Sighting
from reachy_kit.runtime.behaviours.driving.seen_target import HeadPoses, looking
from reachy_kit.runtime.geometry import wrap_angle
from reachy_kit.runtime.interface import BODY_YAW, Action, Array, Observation
from reachy_kit.runtime.perception.sound import SOUND_FEATURES

_LINGER = 3.0
"""Time for which it keeps facing a person who has stopped to speak, s: people pause for breath and for thought."""
_LEAST_SHARE = 0.15
"""Least share of a new direction in the average; the first few weigh the same. One direction is off by some 8°."""
_ELSEWHERE, _CERTAIN = np.deg2rad(40.0), 3
"""Deviation from the average, rad, and number of such directions in a row, from which on somebody else speaks."""
_RIGHT = 0


class SoundOrient:
    """Turns to what is heard.

    Args:
        hz: decisions per second.
    """

    features = SOUND_FEATURES
    carries_on = True

    def __init__(self, hz: int) -> None:
        self._presence, self._follower, self._heads = Presence(hz, _LINGER), PoseFollower(hz), HeadPoses()
        self.reset()

    def reset(self) -> None:
        """Forget what was heard in the episode before."""
        self._presence.forget()
        self._heads.forget()
        self._direction, self._heard, self._elsewhere = 0.0, 0, 0

    def wants_to_drive(self, observation: Observation) -> bool:
        """While somebody is heard, and some seconds longer."""
        features = observation.environment_state
        assert features is not None, "a microphone hears"
        self._heads.add(observation)
        present = self._presence.update(observation)
        if self._presence.sighting is Sighting.NEW:
            self._average(float(self._heads.at(self._presence.captured)[0] - features[_RIGHT]))
        return present

    def start(self, observation: Observation, speed: Array) -> None:
        """Begin where the robot is, at its speed."""
        self._follower.start(observation.action_in_force, speed)

    def act(self, observation: Observation) -> Action:
        """The (9,) target on the way to that direction, head level."""
        return self._follower.follow(looking(np.array([self._direction, 0.0]), observation.action_in_force[BODY_YAW]))

    def _average(self, left: float) -> None:
        """Take a direction of arrival, rad left of the base's front."""
        off = float(wrap_angle(np.array(left - self._direction)))
        self._elsewhere = self._elsewhere + 1 if self._heard and abs(off) > _ELSEWHERE else 0
        if self._elsewhere >= _CERTAIN:
            self._heard = self._elsewhere = 0
        self._heard += 1
        self._direction += max(_LEAST_SHARE, 1 / self._heard) * off


def _open(context: BehaviourContext) -> SoundOrient:
    return SoundOrient(context.hz)


BEHAVIOUR = BehaviourKind(summary="turns to the person who speaks (a microphone)", open=_open, task="sound_orient")
