"""Gaze: where something is, from bearings that are measured in a moving head, and the pose that looks there."""

from collections import deque

import numpy as np

from reachy_kit.runtime.behaviours.driving.presence import Presence, Sighting
from reachy_kit.runtime.interface import BODY_YAW, NEUTRAL, PITCH, YAW, Array, Observation
from reachy_kit.runtime.perception.target import BELOW, RIGHT
from reachy_kit.runtime.safety import CLASSROOM

PATIENCE = 1.0
"""Time without a sighting after which a target counts as lost, s."""
MOTOR_DELAY = 0.12
"""Time from a command to the motion, s. Source: the simulated motors (reachy_sim.tasks.dancer)."""
_BODY_SLACK = np.deg2rad(15.0)
"""Angle by which the head turns before the body follows, rad, as for the scripted experts."""
_POSES = 100
"""Remembered poses of the head: two seconds."""
_NEW, _NEW_SPEED = 0.5, 0.15
"""Shares of a new sighting in the place and in the speed (an alpha-beta filter)."""
_FASTEST = 0.6
"""Largest speed of a target that is predicted, rad/s: that of the head."""
_PREDICTED = 0.3
"""Longest prediction, s."""


class HeadPoses:
    """The last poses of the head, to turn a bearing of an older frame into a direction of the base frame."""

    def __init__(self) -> None:
        self._poses: deque[tuple[float, float, float]] = deque(maxlen=_POSES)

    def forget(self) -> None:
        """Begin an episode."""
        self._poses.clear()

    def add(self, observation: Observation) -> None:
        """Remember a measured pose."""
        yaw, pitch = observation.state[YAW], observation.state[PITCH]
        self._poses.append((observation.capture_time, yaw, pitch))

    def at(self, time: float) -> Array:
        """(2,) rad: yaw and pitch of the head at a time in s."""
        times, yaws, pitches = np.array(self._poses).T
        return np.array([np.interp(time, times, yaws), np.interp(time, times, pitches)])


class MovingDirection:
    """A direction and how fast it moves, from sightings one after another."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin without a sighting."""
        self.place: Array = np.zeros(2)
        """(2,) rad, yaw and pitch in the base frame, when last seen."""
        self.speed: Array = np.zeros(2)
        """(2,) rad/s."""
        self._seen_at: float | None = None
        self._before: tuple[Array, Array, float | None] = (self.place, self.speed, None)

    @property
    def is_known(self) -> bool:
        """Whether there was a sighting."""
        return self._seen_at is not None

    def correct(self, direction: Array, captured: float) -> None:
        """Take a sighting in place of the last one."""
        self.place, self.speed, self._seen_at = self._before
        self.update(direction, captured)

    def update(self, direction: Array, captured: float) -> None:
        """Take a sighting.

        Args:
            direction: (2,) rad, in the base frame.
            captured: time at which its frame was captured, s; later than that of the frame before.
        """
        self._before = self.place, self.speed, self._seen_at
        since = 0.0 if self._seen_at is None else captured - self._seen_at
        if self._seen_at is None or since > _PREDICTED:
            self.place, self.speed, self._seen_at = direction.copy(), np.zeros(2), captured
            return
        expected = self.place + since * self.speed
        off = direction - expected
        self.place = expected + _NEW * off
        self.speed = np.clip(self.speed + _NEW_SPEED * off / since, -_FASTEST, _FASTEST)
        self._seen_at = captured

    def ahead(self, time: float) -> tuple[Array, Array]:
        """Where it will be at a time in s, (2,) rad, and how fast it moves then, (2,) rad/s; it stops if not seen."""
        assert self._seen_at is not None
        since = time - self._seen_at
        if since > _PREDICTED:
            return self.place + _PREDICTED * self.speed, np.zeros(2)
        return self.place + since * self.speed, self.speed


class SeenTarget:
    """The target that perception sees: where it is, how fast it moves, and whether it is lost.

    Args:
        hz: decisions per second.
    """

    def __init__(self, hz: int) -> None:
        self._presence, self._heads = Presence(hz, PATIENCE), HeadPoses()
        self.direction = MovingDirection()

    def forget(self) -> None:
        """Begin an episode in which nothing was seen."""
        self._presence.forget()
        self._heads.forget()
        self.direction.forget()

    def update(self, observation: Observation) -> bool:
        """Take the next decision's observation, with ``TARGET_FEATURES``; whether the target is there."""
        features = observation.environment_state
        assert features is not None, "perception sees the target"
        self._heads.add(observation)
        present, captured = self._presence.update(observation), self._presence.captured
        if self._presence.sighting is not Sighting.NOTHING:
            take = self.direction.update if self._presence.sighting is Sighting.NEW else self.direction.correct
            take(self._heads.at(captured) + np.array([-features[RIGHT], features[BELOW]]), captured)
        return present


def looking(direction: Array, body_yaw: float) -> Array:
    """The (9,) pose that looks in a direction.

    Args:
        direction: (2,) rad, yaw and pitch in the base frame.
        body_yaw: of the body now, rad; it follows only as far as the head needs it.
    """
    pose = NEUTRAL.copy()
    behind = direction[0] - body_yaw
    body = body_yaw + behind - np.clip(behind, -_BODY_SLACK, _BODY_SLACK)
    pose[BODY_YAW] = np.clip(body, CLASSROOM.low[BODY_YAW], CLASSROOM.high[BODY_YAW])
    pose[[YAW, PITCH]] = np.clip(direction, CLASSROOM.low[[YAW, PITCH]], CLASSROOM.high[[YAW, PITCH]])
    return pose
