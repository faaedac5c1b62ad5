"""Keys pressed on the terminal of this process: over SSH, on any desktop, without a window.

In raw mode Ctrl-C is a key like any other. It is turned back into the signal, so that it stops the program wherever it
is, and a terminal that hangs up is the signal for that. The terminal is restored on every way out but SIGKILL.
"""

import codecs
import contextlib
import os
import select
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from reachy_kit.runtime.errors import MissingPackageError, WrongUseError

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyPress

_NAMES = {"c-m": "enter", "c-j": "enter", "c-i": "tab", "c-h": "backspace", " ": "space"}
_ESCAPE_AFTER = 0.3
"""Time without a byte after which a lone ESC is the key, s: the rest of an arrow key may be late over SSH."""
_STOP = "c-c"
NO_TERMINAL = "the keyboard needs a terminal: start the command in one, over SSH with ssh -t. Standard input is not one"


class TerminalKeys:
    """The keys of a terminal in raw mode, read by a thread of their own.

    Args:
        number: the terminal's file descriptor.
    """

    def __init__(self, number: int) -> None:
        from prompt_toolkit.input.vt100_parser import Vt100Parser

        self._number = number
        self._pressed: deque[str] = deque()
        self._parser = Vt100Parser(self._add)
        self._wake, self._end = os.pipe()
        self._thread = threading.Thread(target=self._read, name="terminal keys", daemon=True)
        self._thread.start()

    def pressed(self) -> Sequence[str]:
        """Keys since the last call, such as ``w``, ``up``, ``enter``."""
        return [self._pressed.popleft() for _ in range(len(self._pressed))]

    def close(self) -> None:
        """Stop reading."""
        os.close(self._end)
        self._thread.join()
        os.close(self._wake)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        waiting = False
        while True:
            ready, _, _ = select.select([self._number, self._wake], [], [], _ESCAPE_AFTER if waiting else None)
            if self._wake in ready:
                return
            if not ready:
                self._parser.flush()  # a lone ESC
                waiting = False
                continue
            try:
                data = os.read(self._number, 1024)
            except OSError:  # a pseudo-terminal whose other end was closed
                data = b""
            if not data:
                os.kill(os.getpid(), signal.SIGHUP)
                return
            self._parser.feed(decoder.decode(data))
            waiting = True

    def _add(self, press: "KeyPress") -> None:
        name = str(getattr(press.key, "value", press.key))
        if name == _STOP:
            os.kill(os.getpid(), signal.SIGINT)
        else:
            self._pressed.append(_NAMES.get(name, name))


@contextlib.contextmanager
def terminal_keys() -> Iterator[TerminalKeys]:
    """Put the terminal of standard input into raw mode, and read its keys.

    Yields:
        The keys.

    Raises:
        WrongUseError: standard input is not a terminal.
        MissingPackageError: prompt_toolkit is not installed.
    """
    if not has_terminal():
        raise WrongUseError(NO_TERMINAL)
    try:
        from prompt_toolkit.input.vt100 import raw_mode
    except ModuleNotFoundError as error:
        raise MissingPackageError("prompt_toolkit, which reads the terminal's keys, is missing", "teleop") from error
    number = sys.stdin.fileno()
    with raw_mode(number):
        keys = TerminalKeys(number)
        try:
            yield keys
        finally:
            keys.close()


def has_terminal() -> bool:
    """Whether standard input is a terminal."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
