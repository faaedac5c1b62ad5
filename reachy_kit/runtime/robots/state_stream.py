"""A robot that is only watched: its daemon's stream of measured poses, without the SDK and without a command.

It works beside whatever drives that robot, or a hand that moves it. A stream that breaks is opened again.
"""

import json
import threading
import time
from typing import Any

import numpy as np

from reachy_kit.runtime.geometry import turn_near, vector_from_pose
from reachy_kit.runtime.interface import BODY_YAW, CONTROL_HZ, YAW, Array
from reachy_kit.runtime.robots.daemon import DaemonAddress

_QUERY = f"frequency={CONTROL_HZ}&use_pose_matrix=true"
_RETRY = 0.5
"""Time between two tries to open the stream, s."""
_SILENCE = 1.0
"""Time without a measurement after which the robot counts as lost, s."""


class StateStream:
    """Measured poses of a robot.

    Args:
        address: of its daemon.
    """

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address
        self._latest: tuple[Array, float] | None = None
        self._stopped = threading.Event()
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def wait_for_first(self, within: float) -> bool:
        """Wait for a measurement; False if none came within that many s."""
        return self._first.wait(within)

    @property
    def state(self) -> Array | None:
        """(9,) the latest measurement; None while the robot is lost."""
        latest = self._latest
        if latest is None or time.monotonic() - latest[1] > _SILENCE:
            return None
        return latest[0]

    def stop(self) -> None:
        """Close the stream. Safe to call twice."""
        self._stopped.set()
        self._thread.join()

    def _listen(self) -> None:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        url = f"ws://{self._address.netloc}/api/state/ws/full?{_QUERY}"
        while not self._stopped.is_set():
            try:
                with connect(url, open_timeout=2.0, close_timeout=0.5) as stream:
                    while not self._stopped.is_set():
                        self._take(json.loads(stream.recv(timeout=_SILENCE)))
            except (WebSocketException, OSError, TimeoutError, ValueError, KeyError, TypeError):
                self._stopped.wait(_RETRY)

    def _take(self, message: dict[str, Any]) -> None:
        head = np.array(message["head_pose"]["m"], dtype=np.float64).reshape(4, 4)
        state = np.concatenate([vector_from_pose(head), [message["body_yaw"]], message["antennas_position"]])
        state[YAW] = turn_near(state[YAW], state[BODY_YAW])
        if np.isfinite(state).all():
            self._latest = state, time.monotonic()
            self._first.set()
