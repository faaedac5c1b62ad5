"""The robot lies down at the end of a command, however it ends."""

import signal

import numpy as np

from reachy_kit.runtime.interface import NEUTRAL, YAW

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


def test_sigterm(kit, daemon, make_bundle, until):
    command = kit.start("run", make_bundle(LOOKING_LEFT), "--robot", daemon.address, *RUN)
    until(lambda: turned(daemon))
    command.send(signal.SIGTERM)
    command.wait().says(143)
    assert daemon.lies_down


def test_a_policy_that_returns_nan(kit, daemon, make_bundle):
    bundle = make_bundle(np.full(9, np.nan))
    kit.run("run", bundle, "--robot", daemon.address, *RUN).says(4, "not a number for head_x.pos")
    assert daemon.lies_down
