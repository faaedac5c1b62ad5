"""What the robot does between takes: it stands, and answers a stored take with its antennas."""

import numpy as np

from reachy_kit.runtime.interface import ANTENNAS, Action, Observation


class AntennaSignal:
    """The policy between takes: it holds the pose, and after a stored take moves the antennas for a moment."""

    _SECONDS, _ANGLE, _HZ = 1.0, 0.35, 2.0

    def __init__(self) -> None:
        self.due = False

    def reset(self) -> None:
        """Begin where the robot is."""
        self._began: float | None = None
        self._pose: Action | None = None

    def act(self, observation: Observation) -> Action:
        """The (9,) pose, with the antennas on their way out and back if a signal is due."""
        if self._began is None or self._pose is None:
            self._began, self._pose = observation.capture_time, observation.action_in_force.copy()
        since = observation.capture_time - self._began
        if not self.due or since >= self._SECONDS:
            self.due = False
            return self._pose
        signal = self._pose.copy()
        signal[ANTENNAS] += np.array([1.0, -1.0]) * self._ANGLE * np.sin(2 * np.pi * self._HZ * since)
        return signal
