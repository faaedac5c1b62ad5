"""Guiding by hand on the robot's own daemon, whose simulated motors are made limp, with a spring as the hand."""

import signal
import threading

import numpy as np
import pytest

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import ANTENNAS, NEUTRAL, YAW
from reachy_kit.runtime.robots.guiding.guidable import GuidanceMode
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.teleop.hand_device import HandTeleoperator
from reachy_kit.runtime.teleop.teleoperator import guided_take

from .daemon_proxy import DaemonProxy, pose_of

HZ = 50
GUIDED_TO = 0.5
"""Where the hand turns the head, rad."""


def sdk_robot(daemon):
    return SdkRobot(SdkRobotConfig(daemon.address.host, daemon.address.port))


class Motion:
    """What happens in a take."""

    def __init__(self) -> None:
        self.states, self.modes = [], []

    def watch(self, robot, hand):
        def on_tick(tick):
            if tick.index == HZ:
                hand.turn_to(GUIDED_TO)
            self.states.append(robot.get_observation().state)
            self.modes.append(robot.guidance)

        return on_tick


def test_limp_motors_let_go_only_once_a_hand_is_felt_and_hold_again_without_a_jump(limp_daemon, until):
    daemon, hand = limp_daemon
    device, motion = HandTeleoperator(HZ), Motion()
    with connected(sdk_robot(daemon)) as robot:
        device.connect(robot)
        with guided_take(device) as delay:
            assert delay == robot.response
            rollout(robot, device, seconds=3.5, policy_hz=HZ, on_tick=motion.watch(robot, hand))
            assert set(motion.modes[:HZ]) == {None}, "it let go without a hand"
            assert motion.modes[-1] is GuidanceMode.LIMP
            assert daemon.get("motors/status")["mode"] == "disabled"
        assert daemon.get("motors/status")["mode"] == "enabled"
        hand.let_go()
        guided = robot.get_observation().state
        assert abs(guided[YAW] - GUIDED_TO) < 0.12
        held = rollout_holding(robot, guided)
        assert np.abs(held[:, YAW] - guided[YAW]).max() < 0.1, "it went back to an older target"
    assert daemon.lies_down


@pytest.mark.parametrize("fault", ["mute", pytest.param("stubborn", marks=pytest.mark.long)])
def test_a_head_that_was_let_go_is_held_at_the_end_whatever_the_daemon_answered(fault, limp_daemon):
    daemon, hand = limp_daemon
    file = hand.file.with_suffix(f".{fault}")
    with connected(sdk_robot(daemon)) as robot:
        robot.prepare_guiding()
        hand.turn_to(0.2)
        if fault == "mute":  # it switches the motors off, and fails to say so
            file.touch()
            with pytest.raises(RefusedError, match="does not set its motors to disabled"):
                robot.begin_guiding()
            file.unlink()
            assert daemon.get("motors/status")["mode"] == "disabled"
            robot.end_guiding()
            assert daemon.get("motors/status")["mode"] == "enabled"
            robot.begin_guiding()
        else:
            robot.begin_guiding()
            file.touch()
        hand.let_go()
    assert not file.exists(), "it has refused once"
    assert daemon.lies_down


def test_a_head_is_held_where_it_is_though_the_network_stalled_meanwhile(limp_daemon, until):
    daemon, hand = limp_daemon
    with (
        DaemonProxy(daemon.address) as proxy,
        connected(SdkRobot(SdkRobotConfig(proxy.address.host, proxy.address.port))) as robot,
    ):
        robot.prepare_guiding()
        hand.turn_to(0.0)
        robot.begin_guiding()
        proxy.stall()
        hand.turn_to(GUIDED_TO)
        until(lambda: daemon.state[YAW] > GUIDED_TO - 0.15)
        turned = daemon.state[YAW]
        threading.Timer(0.3, proxy.flow).start()
        before = len(proxy.targets)
        robot.end_guiding()
        held = [pose_of(command)[YAW] for command in proxy.targets[before:]]
        assert np.abs(np.array(held) - turned).max() < 0.15, "it held an older pose"
        hand.let_go()
    assert daemon.lies_down


def rollout_holding(robot, pose, ticks=50):
    """States of a robot that is asked to stay at a pose."""
    states = []
    for _ in range(ticks):
        robot.send_action(pose)
        robot.wait_next_tick()
        states.append(robot.get_observation().state)
    return np.array(states)


def test_a_hand_that_pulls_before_the_head_is_let_go_is_not_another_program(limp_daemon):
    daemon, hand = limp_daemon
    with connected(sdk_robot(daemon)) as robot:
        robot.prepare_guiding()
        hand.turn_to(0.7)
        pulled = rollout_holding(robot, NEUTRAL, ticks=3 * HZ)[:, YAW]
        hand.let_go()
    assert pulled.max() > 0.35, "further than another program's target would be"
    assert daemon.lies_down


def test_a_daemon_that_agrees_and_does_nothing_is_refused_before_the_head_is_let_go(daemon):
    with connected(sdk_robot(daemon)) as robot:
        with pytest.raises(RefusedError, match="does not switch its motors off: it agrees, and they still move"):
            HandTeleoperator(HZ).connect(robot)
        np.testing.assert_allclose(robot.get_observation().state[ANTENNAS], NEUTRAL[ANTENNAS], atol=0.25)
    assert daemon.lies_down


def test_motors_that_another_program_switches_on_end_the_take_and_the_robot_lies_down(limp_daemon):
    daemon, hand = limp_daemon
    device = HandTeleoperator(HZ)

    def interfere(tick):
        if tick.index == HZ // 2:
            hand.turn_to(0.3)
        if robot.guidance and tick.index >= HZ and daemon.get("motors/status")["mode"] == "disabled":
            daemon.post("motors/set_mode/enabled", {})

    with connected(sdk_robot(daemon)) as robot:
        device.connect(robot)
        with pytest.raises(RefusedError, match="another program has set the motors"), guided_take(device):
            rollout(robot, device, seconds=10.0, policy_hz=HZ, on_tick=interfere)
        hand.let_go()
    assert daemon.lies_down


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGHUP],
    ids=lambda number: number.name,
)
def test_a_signal_while_the_head_is_guided_brings_the_robot_to_rest(number, limp_daemon, kit, until):
    daemon, hand = limp_daemon
    assert daemon.lies_down
    command = kit.start("teleop", "hand", "--robot", daemon.address)
    until(lambda: "driving" in command.err)  # the hand is felt by how far it moves the head from here on
    hand.turn_to(0.4)
    until(lambda: daemon.get("motors/status")["mode"] == "disabled")
    command.send(number)
    hand.let_go()
    assert command.wait().code == 128 + number
    assert daemon.lies_down
