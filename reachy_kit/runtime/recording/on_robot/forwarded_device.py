"""The desktop's device, as the recorder on the robot sees it: targets that arrive over the network.

A target counts for a fraction of a second. Without a newer one the robot holds its pose: neither a slow network nor a
lost one moves it.
"""

import time
from collections.abc import Sequence

import numpy as np

from reachy_kit.runtime.interface import Action, Observation, Robot
from reachy_kit.runtime.recording.on_robot.desktop_link import SILENT_AFTER, DesktopLink
from reachy_kit.runtime.teleop.teleoperator import TakeEvent

WATCHDOG = 0.3
"""Age of a target above which it does not count, s: several decisions, and less than a person takes to react."""


class ForwardedDevice:
    """A device at the other end of the line.

    Args:
        link: to the desktop.
    """

    name = "desktop"
    controls: tuple[tuple[str, str], ...] = ()

    def __init__(self, link: DesktopLink) -> None:
        self._link = link
        self._take = 0

    @property
    def lost(self) -> str | None:
        """Why the desktop's device cannot drive. Silence is not among the reasons: the robot holds, and waits."""
        return None if self._link.silence > SILENT_AFTER else self._link.device_lost

    def connect(self, robot: Robot) -> None:
        """Do nothing: the desktop opens the device."""

    def disconnect(self) -> None:
        """Do nothing."""

    def reset(self) -> None:
        """Begin a take; targets of the one before do not count."""
        self._take += 1

    def act(self, observation: Observation) -> Action:
        """The desktop's latest target, or the action in force where there is none."""
        features = observation.environment_state
        self._link.send(
            {
                "type": "observation",
                "take": self._take,
                "time": observation.capture_time,
                "state": observation.state.tolist(),
                "last_action": observation.action_in_force.tolist(),
                "environment_state": [] if features is None else features.tolist(),
            }
        )
        held, latest = observation.action_in_force, self._link.target
        if latest is None:
            return np.array(held)
        take, target, arrival = latest
        fits = take == self._take and len(target) == len(held) and np.isfinite(target).all()
        return np.array(target if fits and time.monotonic() - arrival < WATCHDOG else held)

    def events(self) -> Sequence[TakeEvent]:
        """No events of its own: the desktop sends them as the session's."""
        return ()
