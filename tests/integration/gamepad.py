"""A person's gamepad: a virtual one in the process of a command."""

import json
import os
import time
from pathlib import Path


class Gamepad:
    """A pad in the process of a command."""

    def __init__(self, folder):
        self._fifo = folder / "pad"
        os.mkfifo(self._fifo)
        self._end = os.open(self._fifo, os.O_RDWR)
        tests = str(Path(__file__).parents[1])
        self.before = (
            f"import sys; sys.path.insert(0, {tests!r}); import virtual_pad; virtual_pad.serve({str(self._fifo)!r})"
        )

    def do(self, method, *arguments, **axes):
        os.write(self._end, f"{json.dumps([method, arguments, axes])}\n".encode())

    def push(self, button):
        """Press a button, for as long as a person does."""
        self.do("press", button)
        time.sleep(0.4)  # SDL looks at a virtual pad only when it is asked for events
        self.do("release", button)
