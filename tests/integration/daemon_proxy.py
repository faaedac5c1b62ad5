"""A network between a robot and us: a TCP proxy before a daemon, which can stall and which logs what is commanded."""

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from reachy_kit.runtime.geometry import vector_from_pose
from reachy_kit.runtime.robots.daemon import DaemonAddress

_HEADER_END = b"\r\n\r\n"
_TEXT = 1


@dataclass(frozen=True)
class Command:
    """What a client sent to the daemon."""

    time: float
    """Time at which it left the client, s on the monotonic clock."""
    connection: int
    """Number of the connection, in the order in which they were opened."""
    request: str
    """First line of an HTTP request; empty for a message over a WebSocket."""
    message: dict[str, Any]
    """The message; empty for an HTTP request."""

    @property
    def type(self) -> str:
        return str(self.message.get("type", ""))


def pose_of(command: Command) -> np.ndarray:
    """(9,) of a target as it was sent."""
    message = command.message
    head = vector_from_pose(np.reshape(message["head"], (4, 4)))
    return np.array([*head, message["body_yaw"], *message["antennas"]])


class DaemonProxy:
    """Forwards connections to a daemon.

    Args:
        daemon: its address.
    """

    def __init__(self, daemon: DaemonAddress) -> None:
        self._daemon = daemon
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = DaemonAddress("127.0.0.1", self._listener.getsockname()[1])
        self.log: list[Command] = []
        self._up, self._down, self._answers = threading.Event(), threading.Event(), threading.Event()
        for way in (self._up, self._down, self._answers):
            way.set()
        self._stalls_at: Callable[[Command], bool] = lambda command: False
        self._closed = False
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self._closed = True
        for way in (self._up, self._down, self._answers):
            way.set()
        for end in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def stall(self, *, upwards_alone: bool = False) -> float:
        """Hold everything up, or only what is sent to the daemon; returns the time."""
        self._up.clear()
        if not upwards_alone:
            self._down.clear()
        return time.monotonic()

    def stall_at(self, is_it: Callable[[Command], bool]) -> None:
        """Hold up what is sent to the daemon from a command on, and that command."""
        self._stalls_at = is_it

    def flow(self) -> float:
        """Deliver what was held up, at once, and everything from now on; returns the time."""
        self._up.set()
        self._down.set()
        return time.monotonic()

    def mute(self) -> None:
        """Hold up the daemon's answers to HTTP requests; what flows over a WebSocket keeps flowing."""
        self._answers.clear()

    def unmute(self) -> None:
        """Deliver the answers that were held up."""
        self._answers.set()

    @property
    def targets(self) -> list[Command]:
        """The targets of head, body and antennas."""
        return [command for command in self.log if command.type == "set_full_target"]

    def _accept(self) -> None:
        number = 0
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                daemon = socket.create_connection((self._daemon.host, self._daemon.port))
            except OSError:
                client.close()
                continue
            self._sockets += [client, daemon]
            for end in (client, daemon):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = _Reader(self.log, number)
            number += 1
            threading.Thread(target=self._pump, args=(client, daemon, reader, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(daemon, client, reader, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, reader: "_Reader", upwards: bool) -> None:
        """Take whatever comes at once, also in a stall: what is logged has left its sender then."""
        taken: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._deliver, args=(taken, source, sink, reader, upwards), daemon=True).start()
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if upwards:
                    known = len(self.log)
                    reader.read(data)
                    if any(map(self._stalls_at, self.log[known:])):
                        self._up.clear()
                taken.put(data)
        taken.put(b"")

    def _deliver(
        self,
        taken: queue.SimpleQueue[bytes],
        source: socket.socket,
        sink: socket.socket,
        reader: "_Reader",
        upwards: bool,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := taken.get():
                (self._up if upwards else self._down).wait()
                if not upwards and not reader.is_websocket:
                    self._answers.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class _Reader:
    """Reads what a client sends: HTTP requests, and after an upgrade the messages of a WebSocket."""

    def __init__(self, log: list[Command], connection: int) -> None:
        self._log, self._connection = log, connection
        self._buffer, self.is_websocket = b"", False

    def read(self, data: bytes) -> None:
        self._buffer += data
        while self._take():
            pass

    def _take(self) -> bool:
        return self._take_frame() if self.is_websocket else self._take_request()

    def _take_request(self) -> bool:
        header, end, rest = self._buffer.partition(_HEADER_END)
        if not end:
            return False
        lines = header.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(fields.get("content-length", 0))
        if len(rest) < length:
            return False
        self._buffer = rest[length:]
        self.is_websocket = fields.get("upgrade", "").lower() == "websocket"
        self._log.append(Command(time.monotonic(), self._connection, lines[0], {}))
        return bool(self._buffer)

    def _take_frame(self) -> bool:
        """A frame of RFC 6455, as clients send them: masked."""
        data = self._buffer
        if len(data) < 2:
            return False
        length, place = data[1] & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(data) < place + size:
                return False
            length = int.from_bytes(data[place : place + size])
            place += size
        mask, start = data[place : place + 4], place + 4
        if len(data) < start + length:
            return False
        self._buffer = data[start + length :]
        if data[0] & 0x0F == _TEXT:
            masked = data[start : start + length]
            key = int.from_bytes((mask * (length // 4 + 1))[:length]) if length else 0
            text = (int.from_bytes(masked) ^ key).to_bytes(length)
            self._log.append(Command(time.monotonic(), self._connection, "", json.loads(text)))
        return True


class Measurements:
    """Every measurement that a daemon publishes, over a connection of its own; a new one where it was cut.

    Args:
        daemon: its address; not that of a proxy.
    """

    PERIOD = 0.02
    """Time from one to the next in the daemon's simulation, s: ten steps, however long they take."""

    WINDOW = 5
    """Measurements over which a speed is taken: a target that a busy computer sends late counts little."""

    def __init__(self, daemon: DaemonAddress) -> None:
        self._url = f"ws://{daemon}/ws/sdk"
        self._stopped, self._renewed = threading.Event(), threading.Event()
        self._runs: list[list[tuple[float, np.ndarray]]] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._stopped.set()
        self._thread.join()

    def start(self) -> None:
        """Forget what was measured before."""
        self._runs = [[]]

    @property
    def states(self) -> list[np.ndarray]:
        """(9,) each, since the latest start or connection."""
        return [state for _, state in self._runs[-1]] if self._runs else []

    def between(self, begin: float, end: float) -> np.ndarray:
        """(n, 9) that arrived between two times, s on the monotonic clock."""
        return np.array([state for run in self._runs for arrived, state in run if begin <= arrived <= end])

    @property
    def speeds(self) -> np.ndarray:
        """(9,) highest speed of each axis, per s of the simulation, over ``WINDOW`` measurements.

        When they arrive says little: a busy computer passes them on late, and then in a burst.
        """
        highest = np.zeros(9)
        for run in self._runs:
            states = np.array([state for _, state in run])
            if len(states) > self.WINDOW:
                way = np.abs(states[self.WINDOW :] - states[: -self.WINDOW]).max(axis=0)
                highest = np.maximum(highest, way / (self.WINDOW * self.PERIOD))
        return highest

    def renew(self) -> None:
        """Connect again, as to a daemon that was restarted."""
        self._renewed.set()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            self._renewed.clear()
            try:
                with connect(self._url, open_timeout=2, close_timeout=0.5, compression=None) as stream:
                    self._runs.append([])
                    self._receive(stream)
            except (OSError, TimeoutError, WebSocketException):
                self._stopped.wait(0.05)

    def _receive(self, stream: ClientConnection) -> None:
        joints = None
        while not self._stopped.is_set() and not self._renewed.is_set():
            try:
                message = json.loads(stream.recv(timeout=0.2))
            except TimeoutError:
                continue
            if message["type"] == "joint_positions":
                joints = [message["head_joint_positions"][0], *message["antennas_joint_positions"]]
            elif message["type"] == "head_pose" and joints:
                pose = vector_from_pose(np.array(message["head_pose"]).reshape(4, 4))
                self._runs[-1].append((time.monotonic(), np.array([*pose, *joints])))
