"""The daemon's own face tracking, over its REST interface, as a source of faces and not as a driver of the head."""

import json
from typing import Any

from reachy_kit.runtime.errors import KitError, NoRobotError
from reachy_kit.runtime.robots.daemon import DaemonAddress, ask_daemon

WEIGHT = 0.001
"""Share of the head's orientation that the daemon's tracking owns: at 0 it looks for no face, and our targets are to
be carried out."""
_TIMEOUT = 2.0


class DaemonFaceTracking:
    """Face tracking of one daemon.

    Args:
        address: of the daemon.
    """

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address

    def start(self) -> None:
        """Let the daemon look for faces.

        Raises:
            KitError: it cannot.
            NoRobotError: it does not answer.
        """
        if not self._ask("enable", {"weight": WEIGHT}).get("enabled"):
            raise KitError(f"the daemon at {self._address} has no camera to track faces with; take --target face")

    def latest(self) -> tuple[float | None, tuple[float, float] | None]:
        """What the daemon has found.

        Returns:
            Time stamp of its latest frame, None before the first; and the place of the face in it, −1 to 1 to the right
            and down, None without a face.

        Raises:
            NoRobotError: the daemon does not answer.
        """
        face = self._ask("face").get("face_target") or {}
        x, y = face.get("x"), face.get("y")
        return face.get("ts"), (x, y) if face.get("detected") and x is not None and y is not None else None

    def stop(self) -> None:
        """Let it stop.

        Raises:
            NoRobotError: the daemon does not answer.
        """
        self._ask("disable", {})

    def _ask(self, what: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = ask_daemon(self._address, f"/api/media/tracking/{what}", data, timeout=_TIMEOUT)
        except OSError as error:
            raise NoRobotError(f"the daemon at {self._address} does not track faces ({error})") from error
        return answer if isinstance(answer, dict) else {}
