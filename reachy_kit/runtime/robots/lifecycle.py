"""A connected robot that comes to rest however the work ends: regular end, exception, Ctrl-C, SIGTERM or SIGHUP."""

import contextlib
from collections.abc import Iterator

from reachy_kit.runtime.interface import Robot
from reachy_kit.runtime.interrupts import interrupts_held_back, unwinding_on_signals


@contextlib.contextmanager
def connected[R: Robot](robot: R) -> Iterator[R]:
    """Connect, and put the robot to rest at the end of the block, also where a signal ends it.

    While it lies down, signals wait: a second one must not let the head fall.
    """
    with unwinding_on_signals():
        try:
            try:
                robot.connect()
                yield robot
            finally:
                with interrupts_held_back():
                    robot.disconnect()
        finally:  # a signal may have arrived before the block above held it back; twice is harmless
            with interrupts_held_back():
                robot.disconnect()
