"""The line between the recorder on the robot and one desktop: JSON, a message per line, over a Unix socket.

SSH carries it: the socket lies in a folder that only this user can open. The control loop never waits for the network:
what a desktop sends is read by a thread, and what it is to get waits in a short queue that a thread empties.

| from the desktop | |
|---|---|
| ``{"type": "alive"}`` | every half second; its absence means that the desktop is gone |
| ``{"type": "event", "event": E}`` | a `TakeEvent` |
| ``{"type": "target", "take": N, "target": [9 numbers]}`` | of the desktop's device, in that take |
| ``{"type": "device", "lost": TEXT or null}`` | why the desktop's device cannot drive |

| from the robot | |
|---|---|
| ``{"type": "hello", "session": S, "by": B, "busy": true}`` | first; busy: another desktop is connected |
| ``{"type": "view", …}`` | what the screen shows, ten times per second |
| ``{"type": "observation", "take": N, …}`` | for the desktop's device, at each decision |
| ``{"type": "end", "error": TEXT or null, "exit_code": C, "episodes": N}`` | the last message |
"""

import contextlib
import json
import queue
import shutil
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reachy_kit.runtime.teleop.teleoperator import TakeEvent

SILENT_AFTER = 2.0
"""Time without a message after which a desktop counts as gone, and another one may take its place, s."""
_QUEUE = 64
"""Messages that may wait for the network; the oldest gives way to the newest, which replaces it."""
_LONGEST = 1 << 16
"""Bytes of a line; a longer one is not a message of a desktop's."""


class DesktopLink:
    """The recorder's end of the line.

    Args:
        session: name of the session.
        by: who gave the order.
    """

    def __init__(self, session: str, by: str) -> None:
        self._hello = {"type": "hello", "session": session, "by": by}
        self._events: deque[TakeEvent] = deque()
        self._heard = time.monotonic()
        self._client: _Client | None = None
        self._lock = threading.Lock()
        self.target: tuple[int, list[float], float] | None = None
        """Take, (9,) target and time of arrival of the latest target of the desktop's device."""
        self.device_lost: str | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="reachy-kit-"))  # short: the path of a socket has 107 bytes at most
        self.path = self._folder / "link"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # closing alone leaves the accepting thread where it is
        self._socket.close()
        if client := self._client:
            client.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def silence(self) -> float:
        """Time since the desktop's last message, s."""
        return time.monotonic() - self._heard

    def events(self) -> list[TakeEvent]:
        """What the person wants of the recording, since the last call."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def send(self, message: Mapping[str, Any]) -> None:
        """Give the desktop a message, if there is one and it keeps up; never waits."""
        if client := self._client:
            client.put(message)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            with self._lock:
                if self._client and self._client.open and self.silence < SILENT_AFTER:
                    with contextlib.suppress(OSError), connection:
                        connection.sendall(_line(self._hello | {"busy": True}))
                    continue
                if self._client:
                    self._client.close()
                self._heard = time.monotonic()
                self.target = self.device_lost = None  # of another device, or of one that is open again
                self._client = client = _Client(connection)
            client.put(self._hello | {"busy": False})
            threading.Thread(target=self._read, args=(client,), daemon=True).start()

    def _read(self, client: "_Client") -> None:
        for line in client.lines():
            with contextlib.suppress(ValueError, KeyError, TypeError):  # not a message: the line stays open
                if client is self._client:
                    self._heard = time.monotonic()
                    self._take(json.loads(line))
        client.close()

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "event":
            self._events.append(TakeEvent(message["event"]))
        elif kind == "target":
            target = [float(value) for value in message["target"]]
            self.target = int(message["take"]), target, time.monotonic()
        elif kind == "device":
            lost = message["lost"]
            self.device_lost = None if lost is None else str(lost)


class _Client:
    """One desktop's connection.

    Args:
        connection: its socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self.open = connection, True
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_QUEUE)
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._sender.start()

    def put(self, message: Mapping[str, Any]) -> None:
        while True:
            try:
                return self._waiting.put_nowait(_line(message))
            except queue.Full:
                with contextlib.suppress(queue.Empty):  # the sender took one meanwhile
                    self._waiting.get_nowait()

    def lines(self) -> Any:
        """Lines that arrive, until the connection ends."""
        with contextlib.suppress(OSError), self._connection.makefile("rb") as file:
            while (line := file.readline(_LONGEST)).endswith(b"\n"):
                yield line

    def close(self) -> None:
        """End the connection, after what waits was sent or could not be sent for a second."""
        if not self.open:
            return
        self.open = False
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=1.0)
        if threading.current_thread() is not self._sender:
            self._sender.join(1.0)
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _send(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                self._connection.sendall(line)
            except OSError:
                self.open = False
                return


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
