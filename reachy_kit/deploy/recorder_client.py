"""The recorder on a robot, from the desktop: start it, find it again, talk to it."""

import contextlib
import json
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

from reachy_kit.deploy.robot_shell import RobotShell, RobotSocket
from reachy_kit.deploy.runtime_installation import InstalledRuntime
from reachy_kit.runtime.errors import KitError, NoRobotError, RefusedError, WrongUseError
from reachy_kit.runtime.recording.on_robot.recording_order import LOG, ORDER, STATUS, RecordingOrder, order_text

ALIVE_EVERY = 0.5
"""Time between two signs of life to the recorder, s."""
_START_SECONDS, _POLL = 60.0, 0.1
_MODULE = "reachy_kit.runtime.recording.on_robot.recorder_process"


class RecorderClient:
    """A desktop's end of the line to the recorder.

    Args:
        socket: connected to it.
    """

    def __init__(self, socket: RobotSocket) -> None:
        self._socket = socket
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.cut = False
        """Whether the line has ended."""
        self._alive = 0.0
        threading.Thread(target=self._read, daemon=True).start()

    def messages(self, within: float) -> list[dict[str, Any]]:
        """Messages since the last call; waits for the first one.

        Args:
            within: longest time to wait, s.
        """
        arrived = []
        with contextlib.suppress(queue.Empty):
            arrived.append(self._messages.get(timeout=within))
            while True:
                arrived.append(self._messages.get_nowait())
        return arrived

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message."""
        self._socket.send(json.dumps(message).encode() + b"\n")

    def keep_alive(self) -> None:
        """Send a sign of life, if one is due."""
        if time.monotonic() - self._alive > ALIVE_EVERY:
            self._alive = time.monotonic()
            self.send({"type": "alive"})

    def close(self) -> None:
        """End the line; the recorder continues."""
        self._socket.close()

    def _read(self) -> None:
        for line in self._socket.lines():
            with contextlib.suppress(ValueError):
                self._messages.put(json.loads(line))
        self.cut = True


def recorder_status(shell: RobotShell, base: str) -> dict[str, Any] | None:
    """What the latest recorder on the robot left: its session, and how it ended; None if there was none.

    Raises:
        ConnectionCut: the connection was cut.
    """
    try:
        status = json.loads(shell.read(f"{base}/recorder/{STATUS}") or b"null")
    except ValueError:
        return None
    return status if isinstance(status, dict) else None


def connect_recorder(shell: RobotShell, base: str, session: str) -> RecorderClient | None:
    """Connect to the recorder that runs on the robot; None if none runs.

    Raises:
        RefusedError: it records another session, or another desktop is connected to it.
        ConnectionCut: the connection was cut.
    """
    status = recorder_status(shell, base)
    if status is None or status.get("ended"):
        return None
    try:
        client = RecorderClient(shell.open_socket(str(status.get("socket"))))
    except ConnectionRefusedError:  # it was killed
        return None
    hello = next(iter(client.messages(within=5.0)), None)
    if hello is None or hello.get("busy") or hello.get("session") != session:
        client.close()
        by = (hello or status).get("by", "another desktop")
        raise RefusedError(
            f"{shell.address} is being recorded by {by}. Wait for the end, or end it there: kill {status.get('pid')}"
        )
    return client


def start_recorder(shell: RobotShell, installed: InstalledRuntime, order: RecordingOrder) -> RecorderClient:
    """Start the recorder on the robot, where it stays when the connection ends, and connect to it.

    Raises:
        KitError: it does not start.
        RefusedError: another one runs.
        ConnectionCut: the connection was cut.
    """
    place = f"{installed.base}/recorder"
    shell.write(f"{place}/{ORDER}", order_text(order).encode())
    shell.write(f"{place}/{STATUS}", b"null")
    script = 'cd "$1" && { setsid "$2" -m "$3" . >"$4" 2>&1 </dev/null & echo $!; }'
    pid = shell.run("sh", "-c", script, "sh", place, installed.python, _MODULE, LOG).out.strip()
    deadline = time.monotonic() + _START_SECONDS
    try:
        while time.monotonic() < deadline:
            if client := connect_recorder(shell, installed.base, order.session):
                return client
            status = recorder_status(shell, installed.base)
            if status and status.get("ended"):
                raise_end(status)
            if shell.run("kill", "-0", pid).code:
                break
            time.sleep(_POLL)
    except KeyboardInterrupt:
        shell.run("kill", pid)
        raise
    log = (shell.read(f"{place}/{LOG}") or b"").decode(errors="replace").strip().splitlines() or ["without output"]
    raise KitError(f"the recorder on {shell.address} did not start: {log[-1]}. Its log: {place}/{LOG}")


def raise_end(end: Mapping[str, Any]) -> None:
    """Raise the error with which a recorder ended, if it did.

    Raises:
        KitError: of the kind that it was on the robot.
    """
    if not end.get("error"):
        return
    kinds: dict[int, type[KitError]] = {
        kind.exit_code: kind for kind in (KitError, WrongUseError, NoRobotError, RefusedError)
    }
    raise kinds.get(int(end.get("exit_code", 1)), KitError)(str(end["error"]))
