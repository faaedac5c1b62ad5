"""The file of ``--telemetry``: one JSON document per line, one line per second, after those of earlier runs.

A full disk costs lines, never the run; a line is whole or missing.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from reachy_kit.runtime.durable_files import check_file

OPTION = "--telemetry"


class TelemetryLog:
    """Appends lines to a file.

    Args:
        path: the file; a line that a killed run has left unfinished is removed.

    Raises:
        WrongUseError: it cannot be written.
        RefusedError: it holds something else.
        KitError: the disk is full.
    """

    def __init__(self, path: Path) -> None:
        check_file(path, "a file of telemetry", _is_telemetry, OPTION)
        self.path = path
        self.lost = 0
        """Lines that could not be written."""
        self._file = path.open("ab", buffering=0)
        self._cut(_whole_lines(path))

    def write(self, record: dict[str, Any]) -> str | None:
        """Append a line; returns why it could not be written, None if it was."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        end = os.fstat(self._file.fileno()).st_size  # now: others may have emptied the file, to keep it small
        try:
            written = self._file.write(line)
            if written != len(line):  # the disk has become full within it
                self._file.write(line[written:])
        except OSError as error:
            self.lost += 1
            self._cut(end)
            return error.strerror or str(error)
        return None

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):  # such as of a network's disk that is full
            self._file.close()

    def _cut(self, end: int) -> None:
        """Remove what stands behind the last whole line."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._file.fileno(), end)


def _is_telemetry(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(10).startswith(b'{"schema":')


def _whole_lines(path: Path) -> int:
    """Length of a file up to its last line's end, bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        position = size
        while position:
            start = max(position - 4096, 0)
            file.seek(start)
            line_end = file.read(position - start).rfind(b"\n")
            if line_end >= 0:
                return start + line_end + 1
            position = start
    return 0
