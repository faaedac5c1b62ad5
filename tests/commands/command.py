"""`reachy-kit` as a process: started, watched, signalled, and what it said when it ended."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from .terminal import Terminal

REACHY_KIT = Path(sys.executable).with_name("reachy-kit")


def until(condition: Callable[[], Any], within: float = 60.0) -> Any:
    """Wait for a condition, and return its result."""
    deadline = time.monotonic() + within
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true within {within} s"
        time.sleep(0.02)
    return result


@dataclass(frozen=True)
class Result:
    """Result of a command."""

    code: int
    """Negative for a signal that killed it."""
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def says(self, code: int, *words: str) -> None:
        """Assert that it ended with a message of one or two lines that hold the words, without a traceback."""
        assert self.code == code, self
        assert "Traceback" not in self.err, self.err
        lines = self.err.splitlines(keepends=True)
        message = "".join(itertools.dropwhile(lambda line: not line.startswith(("error: ", "stopped by ")), lines))
        assert len(message.strip().splitlines()) <= 2, message
        for word in words:
            assert word in message, f"{word!r} is not in: {message}"


@dataclass(frozen=True)
class Command:
    """A command that was started."""

    pid: int
    poll: Callable[[], int | None]
    folder: Path

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    @property
    def daemon(self) -> psutil.Process | None:
        """The daemon that it has started, once there is one."""
        return child_daemon(self.pid)

    def wait(self, within: float = 90.0) -> Result:
        until(lambda: self.poll() is not None, within)
        code = self.poll()
        assert code is not None
        return Result(code, self.out, self.err)


class Kit:
    """`reachy-kit`, in a folder of the test's own.

    Args:
        folder: where it runs.
        warm: forks the commands from a process that has loaded LeRobot.
    """

    def __init__(self, folder: Path, warm: "Warm") -> None:
        self.folder = folder
        self._warm = warm
        self._started: list[Command] = []

    def start(
        self,
        *arguments: object,
        before: str = "",
        terminal: Terminal | None = None,
        whole_shutdown: bool = False,
    ) -> Command:
        """Start a command.

        Args:
            arguments: of the command.
            before: Python run in its process first.
            terminal: its keyboard and its screen.
            whole_shutdown: take its modules apart at its end too, as the interpreter does.
        """
        streams = self._streams()
        arguments = tuple(str(argument) for argument in arguments)
        command = self._warm.start(list(arguments), self.folder, streams, before, terminal, whole_shutdown)
        self._started.append(command)
        return command

    def run(self, *arguments: object, before: str = "", whole_shutdown: bool = False) -> Result:
        return self.start(*arguments, before=before, whole_shutdown=whole_shutdown).wait()

    def start_script(self, *arguments: object) -> Command:
        """Start the installed script, nothing loaded beforehand."""
        streams = self._streams()
        with (streams / "out").open("wb") as out, (streams / "err").open("wb") as err:
            process = subprocess.Popen(
                [str(REACHY_KIT), *map(str, arguments)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        command = Command(process.pid, process.poll, streams)
        self._started.append(command)
        return command

    def run_script(self, *arguments: object) -> Result:
        return self.start_script(*arguments).wait()

    def _streams(self) -> Path:
        streams = self.folder / f".streams-{len(self._started)}"
        streams.mkdir()
        for name in ("out", "err"):
            (streams / name).touch()
        return streams

    def end(self) -> None:
        """End what a failed test has left running."""
        for command in self._started:
            if command.poll() is None:
                command.send(signal.SIGKILL)


class Warm:
    """The process of warm.py, started by whichever worker needs it first.

    Args:
        address: the Unix socket that it listens on.
    """

    def __init__(self, address: Path) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        with FileLock(f"{address}.lock"):
            try:
                self._connection.connect(str(address))
            except OSError:
                self._start(address)
        self._stream = self._connection.makefile("rw")
        self._lock = threading.Lock()
        self._codes: dict[int, int] = {}

    def _start(self, address: Path) -> None:
        address.unlink(missing_ok=True)
        inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}  # a pytest worker's own
        # It has threads, of OpenBLAS and pyarrow, and forks all the same: they see to it themselves.
        program = ["-W", "ignore::DeprecationWarning", Path(__file__).with_name("warm.py")]
        process = subprocess.Popen(
            [sys.executable, *program, address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C ends the tests, and their end ends it
            env=inherited | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )

        def answers() -> bool:
            assert process.poll() is None, "warm.py ended"
            return self._connection.connect_ex(str(address)) == 0

        until(answers, 240)

    def _ask(self, request: dict[str, Any]) -> Any:
        with self._lock:
            print(json.dumps(request), file=self._stream, flush=True)
            return json.loads(self._stream.readline())

    def start(
        self,
        arguments: list[str],
        folder: Path,
        streams: Path,
        before: str,
        terminal: Terminal | None,
        whole_shutdown: bool,
    ) -> Command:
        request: dict[str, Any] = {"arguments": arguments, "folder": str(folder), "before": before}
        request["whole_shutdown"] = whole_shutdown
        request["environment"] = {"OUTSIDE_LOOPBACK": os.environ["OUTSIDE_LOOPBACK"]}  # this worker's
        request["terminal"] = terminal and terminal.open(streams / "err")
        pid = self._ask(request | {name: str(streams / name) for name in ("out", "err")})
        return Command(pid, lambda: self._poll(pid), streams)

    def _poll(self, pid: int) -> int | None:
        if pid not in self._codes and (code := self._ask({"poll": pid})) is not None:
            self._codes[pid] = code
        return self._codes.get(pid)

    def close(self) -> None:
        self._stream.close()
        self._connection.close()


def child_daemon(pid: int, port: int | None = None) -> psutil.Process | None:
    """The daemon that a process has started, once there is one; the one of a port, if others run beside it."""
    for child in psutil.Process(pid).children(recursive=True):
        line = child.cmdline()
        if any("reachy-mini-daemon" in part for part in line) and (port is None or str(port) in line):
            return child
    return None
