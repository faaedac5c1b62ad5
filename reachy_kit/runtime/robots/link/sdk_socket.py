"""The WebSocket under the SDK's client: a ping behind what is sent, and an end that drops what is queued.

Measurements may keep arriving while our own messages are held up: they then wait in this computer, in a relay or in the
radio, and reach the robot later, all at once. A ping (RFC 6455, 5.5.2) follows them on the same way, and the daemon
answers it once it has read what came before. So this sees a stall anywhere up to the daemon's process, relays such as
an SSH tunnel included; acknowledgements of TCP would end at the relay. What it does not see: a daemon that has
read a target and does not carry it out (`MotorFollowing` and `OtherDrivers` look at the robot), and the direction in
which time was lost: a round trip that takes longer than the limit counts as a stall, also where only answers are late.
"""

import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

from reachy_kit.runtime.interface import CONTROL_HZ

_EVERY = 0.5 / CONTROL_HZ
"""Shortest time between two pings, s: one for each tick's target, few however often a program asks."""


class RoundTrips:
    """The pings of one connection that are not answered yet.

    Args:
        client: of the SDK, connected.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._last = 0.0
        self._open: deque[tuple[float, threading.Event]] = deque()

    @property
    def age(self) -> float:
        """Time since the oldest ping without an answer was sent, s; 0 where all are answered."""
        while self._open and self._open[0][1].is_set():
            self._open.popleft()
        return time.monotonic() - self._open[0][0] if self._open else 0.0

    def ask(self) -> None:
        """Send a ping behind what has been sent, unless there was one just now.

        Raises:
            WebSocketException: the connection has ended.
        """
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            self._open.append((now, self._client._ws.ping()))

    def has_arrived(self, within: float) -> bool:
        """Send a ping behind what has been sent, and wait for its answer; False if there is none within that many s.

        Raises:
            WebSocketException: the connection has ended.
        """
        answered = self._client._ws.ping()
        self._open.append((time.monotonic(), answered))
        return bool(answered.wait(within))


def abort(client: Any) -> None:
    """Drop a connection with all that is queued in it: a reset instead of the usual end.

    Targets of before a stall would otherwise arrive when the network is back, after newer ones.
    """
    connection = getattr(getattr(client, "_ws", None), "socket", None)
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
    client.disconnect()
