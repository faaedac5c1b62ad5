"""A real daemon with media, a camera and a microphone without hardware, in a Debian 13 root: `make test-media`.

Elsewhere no test of this folder runs: its camera would take the socket of a real robot's daemon on the same computer.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reachy_kit.runtime.interface import ANTENNA_REST, CONTROL_HZ, NEUTRAL, Action, Observation
from reachy_kit.runtime.robots.daemon import DaemonAddress, daemon_status
from tests.bench.runner import LatenessPacer

from .camera_sender import SOCKET

HERE = Path(__file__).parent
IN_ROOT = "IN_MEDIA_ROOT" in os.environ
"""Whether .ci/media-root has started this."""
QUIET = {"REACHY_MINI_TELEMETRY": "0", "DO_NOT_TRACK": "1", "MUJOCO_GL": "disable"}


def pytest_report_header() -> list[str]:
    return [] if IN_ROOT else ["tests/media: run by `make test-media` alone; here it would take a real daemon's camera"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(HERE)]
    if here and not IN_ROOT:
        config.hook.pytest_deselected(items=here)
        items[:] = [item for item in items if item not in here]


def until(condition: Callable[[], Any], within: float) -> Any:
    """Wait for a condition, and return its result."""
    deadline = time.monotonic() + within
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true within {within} s"
        time.sleep(0.005)
    return result


@pytest.fixture(name="until", scope="session")
def until_fixture() -> Callable[..., Any]:
    return until


@contextlib.contextmanager
def process(*command: object, ready: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process, which has printed a line if one is awaited, and which ends with the block."""
    started = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | QUIET,
    )
    try:
        if ready:
            assert started.stdout
            assert started.stdout.readline().strip() == ready
        yield started
    finally:
        started.kill()
        started.wait()


def get(address: DaemonAddress, path: str) -> Any:
    with urllib.request.urlopen(f"http://{address}/api/{path}", timeout=10) as answer:
        return json.load(answer)


def post(address: DaemonAddress, path: str, body: dict[str, Any]) -> None:
    data, header = json.dumps(body).encode(), {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"http://{address}/api/{path}", data, header), timeout=10).close()


@contextlib.contextmanager
def media_daemon(*options: str) -> Iterator[DaemonAddress]:
    """A simulated daemon that has not been told to leave camera and sound alone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = DaemonAddress("127.0.0.1", probe.getsockname()[1])
    command = [
        Path(sys.executable).with_name("reachy-mini-daemon"), *options, "--fastapi-host", address.host,
        "--fastapi-port", address.port, "--no-wake-up-on-start", "--no-goto-sleep-on-stop",
        "--dataset-update-interval", 0,
    ]  # fmt: skip
    log = subprocess.DEVNULL if "MEDIA_LOG" not in os.environ else None
    started = subprocess.Popen([str(word) for word in command], env=os.environ | QUIET, stdout=log, stderr=log)
    try:
        until(lambda: (daemon_status(address, timeout=0.5) or {}).get("state") == "running", 180)
        # A robot without physics starts in a pose that its legs do not reach, and follows nothing from there.
        post(address, "move/goto", {"head_pose": {"z": 0.0}, "antennas": ANTENNA_REST, "duration": 0.2})
        until(lambda: abs(get(address, "state/full")["head_pose"]["z"]) < 0.01, 60)
        until(lambda: not get(address, "move/running"), 60)
        yield address
    finally:
        started.terminate()
        started.wait(20)


@pytest.fixture(scope="session")
def address() -> Iterator[DaemonAddress]:
    """A daemon without physics, for what is about camera and sound."""
    with media_daemon("--mockup-sim") as address:
        yield address


@pytest.fixture(name="media_daemon", scope="session")
def media_daemon_fixture() -> Callable[..., Any]:
    return media_daemon


@contextlib.contextmanager
def camera_of(width: int = 1920, height: int = 1080, hz: int = 30) -> Iterator[subprocess.Popen[str]]:
    script = HERE / "camera_sender.py"
    with process(sys.executable, script, width, height, "--hz", hz, ready="ready") as sender:
        until(Path(SOCKET).exists, 10)
        try:
            yield sender
        finally:
            Path(SOCKET).unlink(missing_ok=True)


@pytest.fixture(scope="session")
def open_camera() -> Callable[..., Any]:
    """Opens a camera that sends frames of a size."""
    return camera_of


@pytest.fixture
def camera(address: DaemonAddress) -> Iterator[subprocess.Popen[str]]:
    """The robot's camera at 1080p, 30 frames per second."""
    with camera_of() as sender:
        yield sender


class Hold:
    """Stands still."""

    def reset(self) -> None:
        """Nothing to forget."""

    def act(self, observation: Observation) -> Action:
        return NEUTRAL.copy()


@pytest.fixture
def hold() -> Hold:
    return Hold()


def empty_loop(seconds: float) -> np.ndarray:
    """Lateness of the ticks of a loop that does nothing, s: what this computer can do."""
    pacer = LatenessPacer()
    for _ in range(round(seconds * CONTROL_HZ)):
        pacer.wait()
    return np.array(pacer.late)


@pytest.fixture(name="empty_loop", scope="session")
def empty_loop_fixture() -> Callable[[float], np.ndarray]:
    return empty_loop


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the fixtures end what they have started
