"""The daemon's direction of arrival: what the robot's microphone array measures by itself.

Source: reachy_mini.media.audio_doa and daemon.app.routers.state (1.13): 0 left, π/2 front or back, π right.
"""

import math
import threading
import time

from reachy_kit.runtime.perception.hearing.sound_source import Bearing
from reachy_kit.runtime.perception.sound import DIRECTION_PERIOD
from reachy_kit.runtime.robots.daemon import DaemonAddress, ask_daemon

_FIRST_ANSWER = 0.6
"""Longest wait for a first direction, s: the daemon begins to measure when it is asked, and answers null until then."""
_TIMEOUT = 1.0


class DaemonDirections:
    """Directions of speech, asked for in a thread beside the loop.

    Args:
        address: of the daemon.
    """

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address
        self.latest: Bearing | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def is_available(self) -> bool:
        """Whether the daemon has an array that measures directions."""
        deadline = time.monotonic() + _FIRST_ANSWER
        while self._ask() is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(DIRECTION_PERIOD)
        return True

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. An answer that is still on its way is not waited for: the robot is to lie down."""
        self._stopped.set()

    def _poll(self) -> None:
        while not self._stopped.wait(DIRECTION_PERIOD):
            asked = time.monotonic()
            answer = self._ask()
            if answer and answer[1]:
                self.latest = Bearing(answer[0], asked)

    def _ask(self) -> tuple[float, bool] | None:
        """Bearing right of the head's front, rad, and whether somebody speaks; None without an array."""
        try:
            answer = ask_daemon(self._address, "/api/state/doa", timeout=_TIMEOUT)
            return (float(answer["angle"]) - math.pi / 2, bool(answer["speech_detected"])) if answer else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
