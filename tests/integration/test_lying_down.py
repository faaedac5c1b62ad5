"""The robot lies down at the end of a command, however it ends."""

import random
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from reachy_kit.runtime.interface import NEUTRAL, YAW

from .daemon_proxy import DaemonProxy

LOOKING_LEFT = NEUTRAL + 0.5 * (np.arange(9) == YAW)
RUN = ("--no-camera", "--seconds", 30)


def turned(daemon):
    """The policy is in charge: neutral, on the way in and out, looks straight ahead."""
    return daemon.state[YAW] > 0.3


def test_ctrl_c(kit, daemon, make_bundle, until):
    command = kit.start_script("run", make_bundle(LOOKING_LEFT), "--robot", daemon.address, *RUN)
    until(lambda: turned(daemon))
    command.send(signal.SIGINT)
    command.wait().says(130, "stopped by Ctrl-C")
    assert daemon.lies_down


def test_ctrl_c_while_the_robot_gets_up(kit, daemon, make_bundle, until):
    command = kit.start("run", make_bundle(LOOKING_LEFT), "--robot", daemon.address, *RUN)
    until(lambda: not daemon.lies_down)
    command.send(signal.SIGINT)
    command.wait().says(130, "stopped by Ctrl-C")
    assert daemon.lies_down


def test_a_second_ctrl_c_while_the_robot_lies_down(kit, daemon, make_bundle, until):
    command = kit.start("run", make_bundle(LOOKING_LEFT), "--robot", daemon.address, *RUN)
    until(lambda: turned(daemon))
    command.send(signal.SIGINT)
    until(lambda: not turned(daemon))
    assert not daemon.lies_down
    command.send(signal.SIGINT)
    command.wait().says(130, "stopped by Ctrl-C")
    assert daemon.lies_down


@pytest.mark.long
def test_sigterm(kit, daemon, make_bundle, until):
    command = kit.start("run", make_bundle(LOOKING_LEFT), "--robot", daemon.address, *RUN)
    until(lambda: turned(daemon))
    command.send(signal.SIGTERM)
    command.wait().says(143)
    assert daemon.lies_down


def test_a_window_that_is_closed(kit, daemon, make_bundle, open_terminal, until):
    terminal = open_terminal()
    command = kit.start("run", make_bundle(LOOKING_LEFT), "--robot", daemon.address, *RUN, terminal=terminal)
    until(lambda: turned(daemon))
    terminal.hang_up()
    assert command.wait().code == 129
    assert daemon.lies_down


def test_ctrl_c_while_the_network_stalls(kit, daemon, make_bundle, until):
    with DaemonProxy(daemon.address) as proxy:
        command = kit.start("run", make_bundle(LOOKING_LEFT), "--robot", proxy.address, *RUN)
        until(lambda: turned(daemon))
        proxy.stall()
        command.send(signal.SIGINT)
        threading.Timer(1.5, proxy.flow).start()
        command.wait().says(130, "stopped by Ctrl-C")
        assert daemon.lies_down
        assert torque_goes_off_last(proxy)


PROGRAM = """
import sys
from reachy_kit.runtime.interface import NEUTRAL
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig

with connected(SdkRobot(SdkRobotConfig("127.0.0.1", int(sys.argv[1])))) as robot:
    print("up", flush=True)
    while True:
        robot.send_action(NEUTRAL)
        robot.wait_next_tick()
"""


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_program_of_ones_own_that_handles_no_signals(number, daemon):
    command = [sys.executable, "-c", PROGRAM, str(daemon.address.port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        assert program.stdout and program.stdout.readline() == "up\n"
        program.send_signal(number)
    assert daemon.lies_down


def torque_goes_off_last(proxy):
    """What was sent after the last target, if any was: the daemon's defaults, and then the motors off."""
    sent = [command for command in proxy.log if command.message]
    targets = [index for index, command in enumerate(sent) if command.type == "set_full_target"]
    last = [command.type for command in sent[targets[-1] + 1 :]] if targets else []
    return not targets or last == ["set_automatic_body_yaw", "set_torque"]


def send_at(number, moment, kit, daemon, bundle):
    """Start a run, send a signal after so many s, and look at how the robot is left."""
    with DaemonProxy(daemon.address) as proxy:
        command = kit.start("run", bundle, "--robot", proxy.address, "--no-camera", "--seconds", 2)
        timer = threading.Timer(moment, lambda: command.poll() is None and command.send(number))
        timer.start()
        result = command.wait()
        timer.join()
        assert result.code in (0, 128 + number, -number), (number, moment, result)
        assert "Traceback" not in result.err, (number, moment, result)
        assert daemon.lies_down, (number, moment, result)
        assert torque_goes_off_last(proxy), (number, moment, result)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_signal_at_any_moment(kit, daemon, make_bundle):
    bundle, moments = make_bundle(LOOKING_LEFT), random.Random(14)
    for _ in range(50):
        send_at(
            moments.choice([signal.SIGHUP, signal.SIGTERM, signal.SIGINT]), moments.uniform(0, 9), kit, daemon, bundle
        )


@pytest.mark.parametrize("moment", [1.5, pytest.param(3.0, marks=pytest.mark.long)])
def test_a_signal_at_some_moment(moment, kit, daemon, make_bundle):
    send_at(signal.SIGTERM, moment, kit, daemon, make_bundle(LOOKING_LEFT))


def test_a_policy_that_returns_nan(kit, daemon, make_bundle):
    bundle = make_bundle(np.full(9, np.nan))
    kit.run("run", bundle, "--robot", daemon.address, *RUN).says(4, "not a number for head_x.pos")
    assert daemon.lies_down
