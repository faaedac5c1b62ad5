"""Threads that leave the processor to the control loop."""

import contextlib
import os
import sys
import threading

_STEPS = 5
"""Steps of priority below the thread that started this one."""


def lower_priority() -> None:
    """Give this thread, and those that it starts, a lower priority, where the system has one for each thread."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _STEPS)
