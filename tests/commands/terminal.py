"""A pseudo-terminal with a person before it: presses keys, and reads what stands on the screen."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
import threading
import time
from pathlib import Path

_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
KEYS = {
    "enter": b"\r", "tab": b"\t", "escape": b"\x1b", "ctrl-c": b"\x03", "space": b" ",
    "up": b"\x1b[A", "down": b"\x1b[B", "right": b"\x1b[C", "left": b"\x1b[D",
    "s-up": b"\x1b[1;2A", "s-down": b"\x1b[1;2B", "s-right": b"\x1b[1;2C", "s-left": b"\x1b[1;2D",
}  # fmt: skip
"""What terminals send for keys that are not letters. Source: xterm's control sequences."""


class Terminal:
    """A pseudo-terminal.

    Args:
        rows: its height.
        columns: its width.
    """

    def __init__(self, rows: int = 40, columns: int = 110) -> None:
        self._person, self._computer = pty.openpty()
        fcntl.ioctl(self._computer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._before = termios.tcgetattr(self._computer)
        self._shown, self._read_to = b"", 0
        self._log: Path | None = None
        self._hung_up = False

    def open(self, log: Path) -> str:
        """Its file, for the program; what the program shows goes to the log too."""
        self._log = log
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return os.ttyname(self._computer)

    @property
    def shown(self) -> str:
        """Everything that was shown, without control sequences."""
        return _ESCAPES.sub(b"", self._shown).decode(errors="replace").replace("\r\n", "\n")

    @property
    def bells(self) -> int:
        return self._shown.count(b"\a")

    @property
    def is_restored(self) -> bool:
        """Whether it behaves as before the program: it echoes, and Ctrl-C is a signal."""
        return termios.tcgetattr(self._computer) == self._before

    @property
    def shows_its_cursor(self) -> bool:
        return self._shown.rfind(b"\x1b[?25h") >= self._shown.rfind(b"\x1b[?25l")

    def press(self, *keys: str) -> None:
        for key in keys:
            os.write(self._person, KEYS.get(key, key.encode()))

    def wait(self, pattern: str, within: float = 60.0) -> re.Match[str]:
        """Wait until something is shown, after what was waited for before."""
        deadline = time.monotonic() + within
        while not (match := re.compile(pattern).search(self.shown, self._read_to)):
            assert time.monotonic() < deadline, f"{pattern!r} was not shown within {within} s:\n{self.shown[-3000:]}"
            time.sleep(0.02)
        self._read_to = match.end()
        return match

    def latest(self, pattern: str) -> re.Match[str] | None:
        """The last place where something is shown."""
        return next(reversed(list(re.finditer(pattern, self.shown[-6000:]))), None)

    def hang_up(self) -> None:
        """Close the window."""
        self._hung_up = True
        os.close(self._computer)
        os.close(self._person)

    def close(self) -> None:
        if not self._hung_up:
            self.hang_up()

    def _read(self) -> None:
        assert self._log
        with contextlib.suppress(OSError):
            while data := os.read(self._person, 65536):
                self._shown += data
                self._log.write_text(self.shown)
