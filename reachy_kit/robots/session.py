"""A connected robot that comes to rest however the work ends: regular end, exception, Ctrl-C or SIGTERM."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from reachy_kit.interface import Robot


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def connected[R: Robot](robot: R) -> Iterator[R]:
    """Connect, and put the robot to rest at the end of the block.

    While it lies down, further Ctrl-C are not heard: an impatient second one must not leave the head to fall.
    """
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _terminate) if in_main else None
    try:
        robot.connect()
        yield robot
    finally:
        deaf = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main else None
        if in_main:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            robot.disconnect()
        finally:
            if in_main:
                signal.signal(signal.SIGINT, deaf)
                signal.signal(signal.SIGTERM, before)
