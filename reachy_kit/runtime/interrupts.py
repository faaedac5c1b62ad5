"""Ctrl-C, SIGTERM, SIGHUP and the stop signal: when they end the program, and work that must not be cut in half."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

STOP = signal.SIGUSR1
"""Signal of `reachy-kit stop` and of the stop key: the robot lies down, and the program ends."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, STOP)
_TO_END = 0.5
"""Time in which work that has been asked to end may do so by itself, s: 25 ticks of the control loop."""
_received: list[int] = []


def end_at_once() -> None:
    """Let signals end the program without a word: while it starts and when it has finished, nothing is open."""
    _handle(lambda number, frame: os._exit(128 + number))


def unwind_on_signals() -> None:
    """Let each signal raise KeyboardInterrupt, so that the robot lies down and files are closed."""
    _handle(_unwind)
    sys.unraisablehook = _send_again


@contextlib.contextmanager
def unwinding_on_signals() -> Iterator[None]:
    """Let signals that would end the program without a word raise KeyboardInterrupt within the block.

    Handlers that a program has set stay. Outside the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    silent = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in silent:
        signal.signal(number, _unwind)
    try:
        yield
    finally:
        for number in silent:
            signal.signal(number, signal.SIG_DFL)


def stop_program() -> bool:
    """Send this program the stop signal, from any thread; False where it would die of it instead of unwinding."""
    unwinds = callable(signal.getsignal(STOP))
    if unwinds:
        os.kill(os.getpid(), STOP)
    return unwinds


def received_signal() -> int | None:
    """Number of the first signal that has unwound the program; None if there was none."""
    return _received[0] if _received else None


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Delay Ctrl-C, SIGTERM, SIGHUP and the stop signal to the end of the block, where the first of them takes effect.

    Outside the main thread, where Python delivers no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: pending.append(number)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if pending:
            signal.raise_signal(pending[0])


@contextlib.contextmanager
def ending_on_signals() -> Iterator[Callable[[], int | None]]:
    """Let work without an end of its own end by itself on a signal, so that its results are kept.

    The work asks again and again whether a signal has come. Until it has asked once, a signal does what it did before.
    So does a second signal, and the first one again if the work has not ended ``_TO_END`` s later. Outside the main
    thread, where Python delivers no signals, this does nothing.

    Yields:
        What the work asks: the signal's number; None while none has come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came: list[int] = []
    asked = False

    def ask() -> int | None:
        nonlocal asked
        asked = True
        return came[0] if came else None

    with contextlib.ExitStack() as restore:

        def note(number: int, frame: FrameType | None) -> None:
            if came or not asked:
                before[signal.Signals(number)](number, frame)
                return
            came.append(number)
            alarm = signal.signal(signal.SIGALRM, lambda number, frame: signal.raise_signal(came[0]))
            restore.callback(signal.signal, signal.SIGALRM, alarm)
            restore.callback(signal.setitimer, signal.ITIMER_REAL, *signal.setitimer(signal.ITIMER_REAL, _TO_END))

        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        before = {number: handler for number, handler in handlers.items() if callable(handler)}
        for number, handler in before.items():
            restore.callback(signal.signal, number, handler)
            signal.signal(number, note)
        yield ask


def _handle(handler: "signal._HANDLER") -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup and `command &` of a script ignore some
            signal.signal(number, handler)


def _unwind(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt  # not SystemExit: where code of another package runs, that one is caught


def _send_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """A destructor or a callback of Python's swallows exceptions: a signal that arrives in one comes again."""
    if _received and isinstance(unraisable.exc_value, KeyboardInterrupt):
        with contextlib.suppress(RuntimeError):  # the interpreter is ending anyway
            threading.Timer(0.01, os.kill, (os.getpid(), _received[-1])).start()
    else:
        sys.__unraisablehook__(unraisable)
