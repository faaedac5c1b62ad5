"""Modes of a robot's motors, as its daemon knows them: following their targets, off, or carrying the head's weight.

Asked and set through the daemon's REST interface, which answers whether it obeyed; the SDK's own calls do not wait for
an answer, and on some daemons a refusal closes their connection.
"""

import http.client
import json
from enum import StrEnum
from typing import Any

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.robots.daemon import DaemonAddress, lost_robot

_WEIGHT_ENGINE = "Placo"
"""The kinematics engine with which a daemon can compensate gravity."""


class MotorMode(StrEnum):
    """Modes, as the daemon names them."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    GRAVITY_COMPENSATION = "gravity_compensation"


class MotorModes:
    """The motors behind a daemon.

    Args:
        address: of the daemon.
    """

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address

    def compensates_gravity(self) -> bool:
        """Whether the daemon can let the motors carry the head's weight.

        Raises:
            NoRobotError: it does not answer.
        """
        _, answer = self._ask("GET", "/api/kinematics/info")
        info = answer.get("info")
        return isinstance(info, dict) and info.get("engine") == _WEIGHT_ENGINE

    def mode(self) -> str:
        """The mode that the daemon says is in use.

        Raises:
            NoRobotError: it does not answer.
        """
        _, answer = self._ask("GET", "/api/motors/status")
        return str(answer.get("mode", ""))

    def set(self, mode: MotorMode) -> None:
        """Set a mode, and look whether it is in use.

        Raises:
            RefusedError: the daemon refuses, or answers that all is well and does nothing.
            NoRobotError: it does not answer.
        """
        status, answer = self._ask("POST", f"/api/motors/set_mode/{mode}")
        wish = f"the daemon at {self._address} does not set its motors to {mode.replace('_', ' ')}"
        if status != http.client.OK:
            raise RefusedError(f"{wish}: {answer.get('detail') or f'it answers {status}'}")
        if (now := self.mode()) != mode:
            raise RefusedError(
                f"{wish}: it agrees, and they stay {now}, as in a simulation. Guide a real robot, or --robot sim"
            )

    def _ask(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(self._address.reachable_host, self._address.port, timeout=2.0)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise lost_robot(self._address, str(error) or type(error).__name__) from error
        finally:
            connection.close()
        try:
            answer = json.loads(text)
        except ValueError:
            answer = {}
        return response.status, answer if isinstance(answer, dict) else {}
