"""The latched stop, by key, command, signal and HTTP: the robot lies down and is not driven again."""

import os
import signal
import socket
import urllib.request

import numpy as np
import pytest

from reachy_kit.runtime.interface import NEUTRAL, YAW
from reachy_kit.runtime.interrupts import STOP
from reachy_kit.runtime.telemetry.metrics_server import STOP_HEADER

from .daemon_proxy import Measurements

LOOKING_LEFT = NEUTRAL + 0.5 * (np.arange(9) == YAW)
RUN = ("--no-camera", "--seconds", 30)
STOPPED = 128 + STOP


def looks_left(daemon):
    """The policy is in charge."""
    return daemon.state[YAW] > 0.3


@pytest.fixture
def running(kit, daemon, make_bundle, until):
    """A run in its own terminal, in mid-drive."""

    def start(**arguments):
        command = kit.start("run", make_bundle(LOOKING_LEFT), "--robot", daemon.address, *RUN, **arguments)
        until(lambda: looks_left(daemon))
        return command

    return start


@pytest.mark.parametrize("key", ["space", pytest.param("escape", marks=pytest.mark.long)])
def test_a_key_stops_a_run(key, running, daemon, open_terminal):
    terminal = open_terminal()
    command = running(terminal=terminal)
    terminal.wait("the space bar, Esc or q stops the robot")
    terminal.press(key)
    command.wait().says(STOPPED, "stopped by a key", "start the command again")
    assert daemon.lies_down
    assert terminal.is_restored


def test_the_stop_command_in_another_terminal_stops_a_run(running, daemon, kit):
    command = running()
    stop = kit.run("stop", "--robot", f"localhost:{daemon.address.port}", "--json")
    assert (stop.code, stop.json) == (0, [{"robot": str(daemon.address), "pid": command.pid, "killed": False}])
    assert daemon.lies_down, "it returns once the robot lies"
    command.wait().says(STOPPED, "reachy-kit stop")
    stop = kit.run("stop", "--robot", daemon.address)
    assert (stop.code, stop.out[:43]) == (0, "no program of this computer drives 127.0.0."), stop


def test_a_request_over_http_stops_a_run(daemon, kit, make_bundle, until):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    bundle = make_bundle(LOOKING_LEFT)
    command = kit.start("run", bundle, "--robot", daemon.address, *RUN, "--metrics", port)
    until(lambda: looks_left(daemon))
    request = urllib.request.Request(f"http://127.0.0.1:{port}/stop", data=b"", headers={STOP_HEADER: "stop"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert (answer.status, answer.read()) == (202, b"the robot lies down\n")
    command.wait().says(STOPPED, "stopped by")
    assert daemon.lies_down


def test_a_run_that_hangs_is_killed_and_the_robot_brought_to_rest(running, daemon, kit):
    command = running()
    command.send(signal.SIGSTOP)
    hurried = "import reachy_kit.workflows.driving.stop as stop\nstop.PATIENCE = 0.5"
    up = daemon.state[2]
    with Measurements(daemon.address) as measurements:
        stop = kit.run("stop", "--robot", daemon.address, before=hurried)
        heights = [state[2] for state in measurements.states]
    assert stop.code == 0, stop
    assert f"process {command.pid} does not react" in stop.err
    assert daemon.lies_down
    assert max(heights) < up + 0.003, "it was driven up first"
    assert command.wait().code == -signal.SIGKILL


def test_a_program_that_leaves_its_robot_standing_is_not_said_to_have_laid_it_down(running, daemon, kit):
    command = running(
        before="from reachy_kit.runtime.robots.sdk import SdkRobot\nSdkRobot._lie_down = lambda *_: 1 / 0"
    )
    stop = kit.run("stop", "--robot", daemon.address)
    assert stop.code == 0, stop
    assert "is brought to rest from here" in stop.err
    assert daemon.lies_down
    command.wait()


@pytest.mark.parametrize("robot", ["daemon", "sim"])
def test_the_name_of_a_simulation_is_not_looked_up_as_a_host(robot, kit):
    kit.run("stop", "--robot", robot).says(2, f"--robot {robot}: name HOST[:PORT]")


def test_without_a_robot_every_program_is_stopped_and_strangers_are_left_alone(kit, tmp_path, until):
    """Two programs drive; a file of a third names a process that does not drive any more."""
    (tmp_path / "locks").mkdir()
    here = f"import tempfile\ntempfile.tempdir = {str(tmp_path / 'locks')!r}"
    (tmp_path / "locks/reachy-kit-192.0.2.1-8000.lock").write_text(f"{os.getpid()} {int(STOP)} 192.0.2.1:8000")
    drive = f"""{here}
import time
from reachy_kit.runtime.interrupts import unwind_on_signals
from reachy_kit.runtime.robots.daemon import DaemonAddress
from reachy_kit.runtime.robots.link.driver_lock import DriverLock
unwind_on_signals()
lock = DriverLock(DaemonAddress("127.0.0.1", PORT))
lock.acquire()
print("drives", flush=True)
time.sleep(60)
"""
    commands = [kit.start("stop", before=drive.replace("PORT", str(port))) for port in (9, 10)]
    until(lambda: all("drives" in (command.folder / "out").read_text() for command in commands))
    stop = kit.run("stop", "--json", before=here)
    assert stop.code == 3, stop
    for command, port in zip(commands, (9, 10), strict=True):
        assert f"process {command.pid} has ended, and 127.0.0.1:{port} cannot be reached" in stop.err
        assert command.wait().code != 0
    assert kit.run("stop", "--json", before=here).json == []
