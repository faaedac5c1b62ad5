"""Keys of a session: those that mean something to the recording, and the others, which a device gets."""

import math
import time
from collections import deque
from collections.abc import Sequence

from reachy_kit.runtime.teleop.teleoperator import Keys, TakeEvent

_EVENTS = {
    "enter": TakeEvent.START,
    "y": TakeEvent.SUCCESS,
    "n": TakeEvent.FAILURE,
    "r": TakeEvent.REDO,
    "x": TakeEvent.DISCARD,
    "tab": TakeEvent.NEXT_TASK,
    "c": TakeEvent.TAKE_OVER,
    "escape": TakeEvent.STOP_NOW,
}
"""Enter starts a take and stops it: the session takes the second one for ``STOP``."""
SESSION_CONTROLS = (
    ("Enter", "start, stop and keep"),
    ("y n", "keep as success, failure"),
    ("r", "redo"),
    ("x", "discard"),
    ("Tab", "next task"),
    ("Esc", "end the session"),
    ("Ctrl-C", "stop now"),
)
_REPEATED = 0.1
"""Time between two presses of a key below which the terminal repeats it, s: it does so 25 times per second or more."""
DRIVE_CONTROLS = (("Esc", "end"), ("Ctrl-C", "stop now"))
"""Keys where nothing is recorded."""


class TakeKeys:
    """The terminal's keys, sorted.

    Args:
        keys: of the terminal; None without one.
    """

    def __init__(self, keys: Keys | None) -> None:
        self._keys = keys
        self._events: deque[TakeEvent] = deque()
        self._others: deque[str] = deque()
        self._held: dict[str, float] = {}

    def events(self) -> Sequence[TakeEvent]:
        """What the person wants of the recording, since the last call."""
        self._sort()
        return _taken(self._events)

    def pressed(self) -> Sequence[str]:
        """All other keys since the last call: the device's."""
        self._sort()
        return _taken(self._others)

    def _sort(self) -> None:
        for key in self._keys.pressed() if self._keys else ():
            if key in _EVENTS:
                if not self._is_repeated(key):
                    self._events.append(_EVENTS[key])
            else:
                self._others.append(key)

    def _is_repeated(self, key: str) -> bool:
        """Whether the terminal repeats a key that is still held."""
        before, self._held[key] = self._held.get(key, -math.inf), time.monotonic()
        return self._held[key] - before < _REPEATED


def _taken[T](queue: deque[T]) -> list[T]:
    return [queue.popleft() for _ in range(len(queue))]
