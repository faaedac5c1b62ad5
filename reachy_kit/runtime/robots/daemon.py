"""Find a Reachy Mini daemon, or start a headless simulated one and end it afterwards.

Uses the daemon's command and its REST status only, so nothing here imports the SDK.
"""

import contextlib
import ctypes
import functools
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reachy_kit.runtime.errors import MissingPackageError, NoRobotError, WrongUseError
from reachy_kit.runtime.messages.installation import is_complete

DEFAULT_PORT = 8000
START_TIMEOUT = 60.0
"""Longest wait for a daemon to start, s; about 10 s is usual, most of it for imports."""
RUNNING = "running"
"""State of a daemon that drives its robot, as ``daemon_status`` gives it."""
_STARTING = "starting"
_STARTS_WITHIN = 15.0
"""Longest wait for a robot that its daemon is starting, s; waking up is part of it."""
_STOP_TIMEOUT = 10.0
_NO_TELEMETRY = {"REACHY_MINI_TELEMETRY": "0", "DO_NOT_TRACK": "1"}
"""Environment in which the daemon, from 1.13 on, tells its maker nothing. Source: reachy_mini/daemon/telemetry.py."""
_NO_OPENGL = {"MUJOCO_GL": "disable"}
"""Environment in which the daemon's import of MuJoCo needs no OpenGL; a headless one draws nothing."""
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class DaemonAddress:
    """Host and port of a daemon."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def reachable_host(self) -> str:
        """The host as a daemon wants to be called: by an IP address, or a name that only a local network knows.

        It refuses requests to any other name, as protection from foreign web pages (LocalNetworkGuardMiddleware of
        reachy_mini 1.12). A name that cannot be looked up stays as it is.
        """
        return _reachable(self.host)

    @property
    def netloc(self) -> str:
        """Host and port, for a URL."""
        return f"{self.reachable_host}:{self.port}"


@functools.lru_cache
def _reachable(host: str) -> str:
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".local"):
        return host
    numeric = numeric_host(host)
    return f"[{numeric}]" if ":" in numeric else numeric


def numeric_host(host: str) -> str:
    """A computer as an IP address, of version 4 where it has one; its name where it cannot be resolved."""
    try:
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # a name that cannot be resolved, or that cannot be a name
        return host
    return str(min(entries, key=lambda entry: entry[0] != socket.AF_INET)[4][0])


def parse_address(robot: str, option: str = "--robot") -> DaemonAddress:
    """Host and port in ``HOST[:PORT]``.

    Args:
        robot: the text.
        option: that gives it, for messages.

    Raises:
        WrongUseError: the port is not a number.
    """
    host, colon, port = robot.partition(":")
    if colon and not (port.isdecimal() and int(port) < 2**16):
        raise WrongUseError(f"{option} {robot}: the port must be a number, as in reachy-mini.local:{DEFAULT_PORT}")
    return DaemonAddress(host, int(port) if colon else DEFAULT_PORT)


def ask_daemon(
    address: DaemonAddress,
    path: str,
    body: bytes | None = None,
    *,
    content_type: str = "application/json",
    timeout: float = 3.0,
) -> Any:
    """Ask the REST interface of a daemon.

    Args:
        address: of the daemon.
        path: of the question, such as ``/api/daemon/status``.
        body: posted with it; None to get something.
        content_type: of the body.
        timeout: longest wait for the answer, s.

    Returns:
        The answer, decoded from JSON.

    Raises:
        OSError: none answers, the daemon refuses, or its answer is not JSON.
    """
    request = urllib.request.Request(f"http://{address.netloc}{path}", body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"the daemon answered something unexpected ({error!r})") from error


def daemon_status(address: DaemonAddress, timeout: float = 3.0) -> dict[str, Any] | None:
    """Status that a daemon reports, or None where none answers."""
    try:
        status = ask_daemon(address, "/api/daemon/status", timeout=timeout)
    except OSError:
        return None
    return status if isinstance(status, dict) else None


def running_status(address: DaemonAddress) -> dict[str, Any]:
    """Status of a daemon that drives its robot; one that starts is waited for.

    Raises:
        NoRobotError: none answers, or it does not drive its robot.
    """
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        status = daemon_status(address)
        if status is None:
            raise no_daemon(address)
        state = status.get("state")
        if state == RUNNING:
            return status
        if state != _STARTING or time.monotonic() > deadline:
            reason = f" ({status['error']})" if status.get("error") else ""
            raise NoRobotError(
                f"the daemon at {address} answers, but does not drive its robot: its state is {state}{reason}. Start "
                f"the robot in its dashboard: http://{address}"
            )
        time.sleep(0.1)


def no_daemon(address: DaemonAddress) -> NoRobotError:
    """The error of an address at which nothing answers."""
    return NoRobotError(
        f"no Reachy Mini daemon answers at {address}. Is the robot switched on and in this network? "
        "Without a robot: --robot daemon or --robot sim"
    )


def lost_robot(address: DaemonAddress, why: str) -> NoRobotError:
    """The error of a connection that has ended."""
    return NoRobotError(
        f"lost the robot at {address}: {why}. Its head may still be up: hold it, then switch the robot off. What was "
        "saved before is kept; look at the daemon's log"
    )


def is_simulated(status: dict[str, Any]) -> bool:
    """Whether a daemon with this status moves a simulation and not a robot."""
    return bool(status.get("simulation_enabled") or status.get("mockup_sim_enabled"))


@contextlib.contextmanager
def simulated_daemon() -> Iterator[DaemonAddress]:
    """A simulated daemon on this machine: the one that already answers, else one that lives as long as the block.

    A daemon on the default port that moves a real robot is left alone.

    Raises:
        MissingPackageError: the daemon is not installed.
        NoRobotError: it does not come up.
    """
    default = DaemonAddress("127.0.0.1", DEFAULT_PORT)
    status = daemon_status(default, timeout=0.5)
    if status and is_simulated(status) and status.get("state") == RUNNING:
        yield default
        return
    with tempfile.TemporaryFile() as log:
        process, address = _start(log)
        try:
            _wait_until_running(process, address, log)
            yield address
        finally:
            _stop(process)


def daemon_installed() -> bool:
    """Whether the robot's daemon can be started on this computer: the simulator needs files of its package alone."""
    return _command().exists() and is_complete("reachy-mini")


def _command() -> Path:
    return Path(sysconfig.get_path("scripts")) / "reachy-mini-daemon"


def _start(log: Any) -> tuple[subprocess.Popen[bytes], DaemonAddress]:
    if not daemon_installed():
        raise MissingPackageError("the robot's daemon is not installed here", "robot")
    if importlib.util.find_spec("mujoco") is None:
        raise MissingPackageError("the robot's daemon is here without MuJoCo, in which it simulates the robot", "sim")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = DaemonAddress("127.0.0.1", probe.getsockname()[1])
    arguments = [
        "--sim", "--headless", "--no-media", "--fastapi-host", address.host, "--fastapi-port", str(address.port),
        "--no-wake-up-on-start", "--no-goto-sleep-on-stop", "--dataset-update-interval", "0",
    ]  # fmt: skip
    process = subprocess.Popen(
        [str(_command()), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=os.environ | _NO_TELEMETRY | _NO_OPENGL,
        # A Ctrl-C at the terminal must reach us alone: we bring the robot to rest first, then end the daemon.
        start_new_session=True,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  (one system call)
    )
    return process, address


def _end_with_parent() -> None:
    """Ask Linux to end the daemon should we be killed: PR_SET_PDEATHSIG is option 1 of prctl(2)."""
    assert _LIBC is not None
    _LIBC.prctl(1, signal.SIGTERM)


def _wait_until_running(process: subprocess.Popen[bytes], address: DaemonAddress, log: Any) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines() or ["without output"]
            raise NoRobotError(f"the simulated daemon ended at once: {lines[-1]}. Without it: --robot sim")
        status = daemon_status(address, timeout=0.5)
        if status and status.get("state") == RUNNING:
            return
        time.sleep(0.1)
    raise NoRobotError(
        f"the simulated daemon did not come up at {address} within {START_TIMEOUT:.0f} s. Close other programs, or "
        "take --robot sim"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
