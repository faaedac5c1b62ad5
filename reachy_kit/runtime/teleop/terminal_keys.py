"""Keys pressed on the terminal of this process: over SSH, on any desktop, without a window.

In raw mode Ctrl-C is a key like any other. It is turned back into the signal, so that it stops the program wherever it
is, and a terminal that hangs up is the signal for that. The terminal is restored on every way out but SIGKILL.
"""

import codecs
import contextlib
import importlib.util
import os
import select
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from reachy_kit.runtime.errors import MissingPackageError, WrongUseError
from reachy_kit.runtime.interrupts import STOP

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyPress

_NAMES = {"c-m": "enter", "c-j": "enter", "c-i": "tab", "c-h": "backspace", " ": "space"}
_ESCAPE_AFTER = 0.3
"""Time without a byte after which a lone ESC is the key, s: the rest of an arrow key may be late over SSH."""
_CTRL_C = "c-c"
STOP_KEYS = ("space", "escape", "q")
"""Keys that stop a run in which keys mean nothing else."""
HOW_TO_STOP = "the space bar, Esc or q stops the robot"
NO_TERMINAL = "the keyboard needs a terminal: start the command in one, over SSH with ssh -t. Standard input is not one"


class TerminalKeys:
    """The keys of a terminal in raw mode, read by a thread of their own.

    Args:
        number: the terminal's file descriptor.
        stop: keys that send this process the stop signal.
    """

    def __init__(self, number: int, stop: Sequence[str] = ()) -> None:
        from prompt_toolkit.input.vt100_parser import Vt100Parser

        self._number, self._stop = number, stop
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
        key = str(getattr(press.key, "value", press.key))
        name = _NAMES.get(key, key)
        if name == _CTRL_C:
            os.kill(os.getpid(), signal.SIGINT)
        elif name in self._stop:
            os.kill(os.getpid(), STOP)
        else:
            self._pressed.append(name)


@contextlib.contextmanager
def terminal_keys(stop: Sequence[str] = ()) -> Iterator[TerminalKeys]:
    """Put the terminal of standard input into raw mode, and read its keys.

    Args:
        stop: keys that send this process the stop signal.

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
        keys = TerminalKeys(number, stop)
        try:
            yield keys
        finally:
            keys.close()


@contextlib.contextmanager
def stop_keys() -> Iterator[TerminalKeys | None]:
    """Let ``STOP_KEYS`` stop the run in the block.

    They do where standard input is the terminal that this process has in the foreground, where the stop signal unwinds
    the program, as in every command, and where prompt_toolkit is installed, which comes with the SDK.

    Yields:
        The terminal's other keys; None where they do not.
    """
    unwinds = callable(signal.getsignal(STOP))
    if not (unwinds and _is_in_foreground() and importlib.util.find_spec("prompt_toolkit")):
        yield None
        return
    with terminal_keys(STOP_KEYS) as keys:
        yield keys


def has_terminal() -> bool:
    """Whether standard input is a terminal."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def _is_in_foreground() -> bool:
    """Whether the terminal's keys are for this process: one in the background that touches it is suspended."""
    try:
        return has_terminal() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # a terminal that controls other processes
        return False
