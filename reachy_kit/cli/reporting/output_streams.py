"""The command's streams: text in any encoding, and readers that go away.

Signs that the stream's encoding lacks are written in letters of ASCII. Progress and notes never fail the work: they are
dropped once stderr has lost its reader. A result that cannot be written ends the command.
Try it: PYTHONIOENCODING=ascii reachy-kit eval expert --episodes 3 | head -2
"""

import codecs
import io
import os
import signal
import sys
from typing import TextIO, override

from reachy_kit.runtime.errors import KitError

_ERRORS = "reachy_kit.letters"
_LETTERS = {
    "–": "-", "−": "-", "—": "-", "…": "...", "×": "x", "→": "->", "←": "<-", "·": "*", "±": "+/-", "°": " deg",
    "≤": "<=", "≥": ">=", "’": "'", "“": '"', "”": '"', "µ": "u", "σ": "sigma", "Δ": "d",
}  # fmt: skip


def open_streams() -> None:
    """Put streams that cannot fail on an encoding in the place of stdout and stderr."""
    codecs.register_error(_ERRORS, _in_letters)
    sys.stdout = _open(sys.stdout, 1, _Results)
    sys.stderr = _open(sys.stderr, 2, _Notes)


def _open(stream: TextIO | None, number: int, kind: "type[_Results | _Notes]") -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # closed by the caller, or replaced by a test's own
        return stream or open(os.devnull, "w")  # noqa: PTH123  (it stays open)
    line_buffering = stream.line_buffering or number == 2
    return kind(stream.detach(), stream.encoding, _ERRORS, line_buffering=line_buffering)


class _Results(io.TextIOWrapper):
    """Standard output: a result that cannot be written ends the command, quietly where the reader has left."""

    @override
    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise _end(error) from error

    @override
    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise _end(error) from error


class _Notes(io.TextIOWrapper):
    """Standard error: what cannot be written is dropped."""

    @override
    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            _discard(2)
            return len(text)

    @override
    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            _discard(2)


def _end(error: OSError) -> BaseException:
    _discard(1)
    if isinstance(error, BrokenPipeError):
        return SystemExit(128 + signal.SIGPIPE)
    return KitError(f"the result cannot be written to standard output ({error.strerror})")


def _discard(number: int) -> None:
    """Send everything that is still written to a stream nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _in_letters(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    sign = error.object[error.start]
    if "\udc80" <= sign <= "\udcff":  # a byte of a path that is not text
        return bytes([ord(sign) - 0xDC00]), error.start + 1
    escaped = sign.encode("ascii", "backslashreplace").decode()
    return _LETTERS.get(sign, escaped), error.start + 1
