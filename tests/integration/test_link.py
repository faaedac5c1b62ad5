"""The link to a robot, on its real daemon: other clients' moves, stalls, restarts, and what reaches the motors."""

import ast
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import reachy_kit
from reachy_kit.runtime.errors import NoRobotError, RefusedError
from reachy_kit.runtime.interface import ANGLE_AXES, BODY_YAW, CONTROL_HZ, HEAD, NEUTRAL, SLEEP, YAW
from reachy_kit.runtime.robots import daemon as daemon_module
from reachy_kit.runtime.robots.daemon import simulated_daemon
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.robots.link import sdk_link
from reachy_kit.runtime.robots.link.sdk_link import SdkLink
from reachy_kit.runtime.robots.media.sdk_client import open_client
from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig
from reachy_kit.runtime.safety import CLASSROOM

from ..commands.command import child_daemon
from .daemon_proxy import DaemonProxy, Measurements, pose_of

HEAD_SPEED = 1.1 * CLASSROOM.speed[HEAD][3:].max()
"""rad/s: what the measured head never exceeds."""
NOTICED = 0.1
"""s from the beginning of a stall: what is sent later must not arrive."""
RESUMED = 1.0
"""s from the first fresh measurement."""
TRIES = 3
STEP = 0.1
"""rad over two measurements, by which a head at rest turns at a target that is 0.28 rad away: four targets are 0.24."""
OFF = 0.11
"""rad from the measured head: the first target after a stall begins there, or where the head was commanded nearby."""
SWING, SWING_SPEED = 0.6, CLASSROOM.speed[YAW]


def sdk_robot(address):
    return SdkRobot(SdkRobotConfig(address.host, address.port))


def swing(tick):
    """To and fro, as fast as permitted."""
    period = 4 * SWING / SWING_SPEED
    phase = (tick / CONTROL_HZ / period) % 1.0
    target = NEUTRAL.copy()
    target[YAW] = SWING * (1 - abs(4 * ((phase + 0.25) % 1.0) - 2))
    return target


def drive(robot, ticks, first=0):
    """Swing for a while; the state at each tick."""
    states = []
    for tick in range(first, first + ticks):
        robot.send_action(swing(tick))
        robot.wait_next_tick()
        states.append(robot.get_observation().state)
    return np.array(states)


def head_speed(measurements):
    return measurements.speeds[HEAD][ANGLE_AXES].max()


def keeps_its_speed(measurements, provoke):
    """Whether the head keeps within its speed in one of a few tries of a fault.

    A busy computer sends targets late by itself, now and then, and the robot then catches up; a jump after a fault
    comes each time.
    """
    for _ in range(TRIES):
        measurements.start()
        provoke()
        if head_speed(measurements) < HEAD_SPEED:
            return True
    return False


def require_no_jump(measurements, targets, flowed, resumed):
    """Nothing that a stall has held up leads the resting head away, and neither does the first target after it."""
    states = measurements.between(flowed - 0.1, resumed)[:, HEAD][:, ANGLE_AXES]
    assert np.abs(states[2:] - states[:-2]).max() < STEP
    first = next(pose_of(command) for command in targets if command.time >= resumed)
    assert np.abs(first[HEAD][ANGLE_AXES] - states[-1]).max() < OFF


@pytest.fixture(scope="module")
def shared_daemon(no_other_daemon, as_daemon, tmp_path_factory):
    """A daemon whose simulation keeps pace with the clock."""
    script = tmp_path_factory.mktemp("punctual") / "reachy-mini-daemon"
    script.write_text(f"#!{sys.executable}\n" + Path(__file__).with_name("punctual_daemon.py").read_text())
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daemon_module, "_command", lambda: script)
        with simulated_daemon() as address:
            yield as_daemon(address, child_daemon(os.getpid(), address.port))


@pytest.fixture
def proxy(daemon):
    with DaemonProxy(daemon.address) as proxy:
        yield proxy


@pytest.fixture
def measurements(daemon, until):
    with Measurements(daemon.address) as measurements:
        until(lambda: measurements.states)
        yield measurements


class TestStalls:
    """One robot, behind a network that stalls."""

    @pytest.fixture(scope="class")
    def proxy(self, shared_daemon):
        with DaemonProxy(shared_daemon.address) as proxy:
            yield proxy

    @pytest.fixture(scope="class")
    def robot(self, shared_daemon, proxy):
        shared_daemon.lie_down()
        with connected(sdk_robot(proxy.address)) as robot:
            yield robot
        assert shared_daemon.lies_down

    @pytest.fixture
    def measurements(self, shared_daemon, robot, until):
        with Measurements(shared_daemon.address) as measurements:
            until(lambda: measurements.states)
            yield measurements

    @pytest.mark.parametrize(
        "seconds", [0.3, *(pytest.param(seconds, marks=pytest.mark.long) for seconds in (0.7, 1.5, 5.0))]
    )
    @pytest.mark.parametrize("upwards_alone", [False, True], ids=["both ways", "commands alone"])
    def test_what_is_sent_into_a_stall_is_little_and_the_run_resumes_without_a_jump(
        self, seconds, upwards_alone, robot, proxy, measurements
    ):
        def provoke():
            drive(robot, 40)
            stalled, flowed = proxy.stall(upwards_alone=upwards_alone), []
            threading.Timer(seconds, lambda: flowed.append(proxy.flow())).start()
            states = drive(robot, 60, first=40)
            sent = np.array([command.time for command in proxy.targets])
            assert np.ptp(states[:, YAW]) > 0.2
            resumed = sent[sent > stalled + NOTICED].min()
            assert stalled + seconds - 0.05 < resumed < stalled + seconds + RESUMED
            require_no_jump(measurements, proxy.targets, flowed[0], resumed)

        assert keeps_its_speed(measurements, provoke)

    def test_a_robot_that_measures_and_does_not_hear_is_reported_as_lost(self, robot, proxy, monkeypatch):
        monkeypatch.setattr(sdk_link, "GIVE_UP", 1.0)
        drive(robot, 10)
        proxy.stall(upwards_alone=True)
        try:
            with pytest.raises(NoRobotError, match="it measures, but has not answered for 1 s"):
                drive(robot, 20)
        finally:
            proxy.flow()

    @pytest.mark.long
    @pytest.mark.parametrize("seconds", [1.5, 5.0])
    def test_a_daemon_that_sleeps_for_a_while(self, seconds, robot, shared_daemon, proxy, measurements):
        def provoke():
            drive(robot, 40)
            stalled = time.monotonic()
            shared_daemon.process.send_signal(signal.SIGSTOP)
            wake = threading.Timer(seconds, shared_daemon.process.send_signal, (signal.SIGCONT,))
            wake.start()
            states = drive(robot, 60, first=40)
            wake.join()
            sent = np.array([command.time for command in proxy.targets])
            resumed = sent[sent > stalled + NOTICED].min()
            assert stalled + seconds - 0.05 < resumed < stalled + seconds + RESUMED
            assert np.ptp(states[:, YAW]) > 0.2

        assert keeps_its_speed(measurements, provoke)

    def test_a_daemon_that_restarts(self, robot, shared_daemon, proxy, measurements):
        def provoke():
            drive(robot, 40)
            before = len(proxy.log)
            shared_daemon.post("daemon/restart", {})
            threading.Timer(1.0, measurements.renew).start()
            states = drive(robot, 150, first=40)
            sent = [command.type for command in proxy.log[before:] if command.message]
            assert sent.index("set_automatic_body_yaw") < len(sent) - 10, "the new daemon turns the body by itself"
            assert np.ptp(states[-50:, YAW]) > SWING, "it follows again"
            assert abs(states[-1][2]) < 0.015, "it has got up again"

        assert keeps_its_speed(measurements, provoke)


def test_a_process_that_sleeps_for_a_while_finds_its_robot_again(kit, daemon, make_bundle, measurements, until):
    bundle = make_bundle(NEUTRAL + 0.5 * (np.arange(9) == YAW))
    command = kit.start("run", bundle, "--robot", daemon.address, "--no-camera", "--seconds", 4)
    until(lambda: daemon.state[YAW] > 0.2)
    command.send(signal.SIGSTOP)
    time.sleep(2.5)
    command.send(signal.SIGCONT)
    assert command.wait().code == 0
    assert daemon.lies_down
    assert head_speed(measurements) < HEAD_SPEED


class TestOtherClients:
    @pytest.mark.parametrize(("yaw", "seconds"), [(0.15, 0.3), pytest.param(-0.4, 2.0, marks=pytest.mark.long)])
    def test_another_clients_move_does_not_end_in_a_jump(self, yaw, seconds, daemon, proxy, measurements):
        with connected(sdk_robot(proxy.address)) as robot:
            drive(robot, 25)
            measurements.start()
            daemon.post("move/goto", {"head_pose": {"yaw": yaw}, "duration": seconds})
            try:
                for _ in range(round((seconds + 1.5) * CONTROL_HZ)):
                    robot.send_action(swing(25))  # 0.6 rad: not where the move leads
                    robot.wait_next_tick()
            except RefusedError as error:
                assert "move" in str(error)
            else:
                assert seconds < 1.0
        assert daemon.lies_down
        assert head_speed(measurements) < HEAD_SPEED

    def test_connecting_waits_for_a_move_and_starts_where_that_has_led(self, daemon, proxy, measurements, until):
        daemon.post("move/goto", {"head_pose": {"z": 0.0}, "body_yaw": 0.0, "duration": 0.5})
        until(lambda: daemon.is_up and not daemon.get("move/running"))
        turned = {"head_pose": {"yaw": -0.7}, "body_yaw": -0.5, "duration": 2.0}
        daemon.post("move/goto", turned)
        measurements.start()
        robot = sdk_robot(proxy.address)
        with connected(robot):
            first = pose_of(proxy.targets[0])
            assert first[[YAW, BODY_YAW]] == pytest.approx([-0.7, -0.5], abs=0.1)
            assert daemon.get("move/running") == []
        assert head_speed(measurements) < HEAD_SPEED


class TestSwitchingOff:
    def test_a_stall_is_waited_for(self, daemon, proxy):
        link = SdkLink(open_client(proxy.address, media=False), proxy.address)
        proxy.stall(upwards_alone=True)
        link.rest_at(link.measured())
        link.command(link.measured())
        flowed = []
        threading.Timer(0.5, lambda: flowed.append(proxy.flow())).start()
        assert link.switch_motors_off()
        assert flowed
        link.close()

    def test_motors_that_may_still_be_on_are_reported(self, daemon, proxy):
        robot = sdk_robot(proxy.address)
        robot.connect()
        proxy.stall_at(lambda command: command.message.get("on") is False)
        with pytest.raises(NoRobotError, match="it lies, but does not answer, and its motors may still be on"):
            robot.disconnect()
        assert daemon.lies_down


class TestOpening:
    def test_a_daemon_that_does_not_drive_its_robot_is_named_with_its_state(self, kit, daemon, make_bundle, until):
        daemon.post("daemon/stop?goto_sleep=false", {})
        until(lambda: daemon.get("daemon/status")["state"] == "stopped")
        try:
            bundle = make_bundle(NEUTRAL)
            kit.run("run", bundle, "--robot", daemon.address).says(3, "its state is stopped", "dashboard")
        finally:
            daemon.post("daemon/start?wake_up=false", {})
            until(lambda: daemon.get("daemon/status")["state"] == "running")

    def test_a_name_that_the_daemon_refuses_is_looked_up_first(self, daemon, monkeypatch):
        name, look_up = "reachy-07.school.lan", socket.getaddrinfo

        def with_name(host, *arguments, **options):
            return look_up("127.0.0.1" if host == name else host, *arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", with_name)
        with connected(SdkRobot(SdkRobotConfig(name, daemon.address.port))) as robot:
            assert robot.name.startswith(name)
            assert robot.state_age < 1.0
        assert daemon.lies_down

    def test_a_name_that_nothing_knows_is_a_robot_that_does_not_answer(self, monkeypatch):
        def unknown(host, *arguments, **options):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        robot = SdkRobot(SdkRobotConfig("reachy-08.school.lan"))
        with pytest.raises(NoRobotError, match="no Reachy Mini daemon answers at reachy-08"):
            robot.connect()


class TestLimiterIsTheOnlyWay:
    MOTION = (
        "set_target", "goto_target", "set_target_head_pose", "set_target_antenna_joint_positions",
        "set_target_body_yaw", "play_move", "async_play_move", "look_at_image", "look_at_world", "wake_up",
        "goto_sleep", "send_command", "send_task_request", "_set_joint_positions", "_goto_joint_positions",
    )  # fmt: skip
    """Methods of the SDK's robot and its client that move a robot."""
    SETTINGS = ("set_automatic_body_yaw", "set_head_tracking", "set_wobbling", "set_torque")

    def test_the_sdk_has_no_other_motion_methods(self):
        """Every method that sends something is known here, as moving the robot or not."""
        import inspect

        from reachy_mini import ReachyMini

        sending = {
            name
            for name, method in inspect.getmembers(ReachyMini, inspect.isfunction)
            if any(sends in inspect.getsource(method) for sends in ("send_command", "send_task_request"))
        }
        harmless = {
            "enable_wobbling", "disable_wobbling", "start_head_tracking", "stop_head_tracking", "start_recording",
            "stop_recording", "_set_record_data", "_set_torque", "enable_gravity_compensation",
            "disable_gravity_compensation", "set_automatic_body_yaw",
        }  # fmt: skip
        assert sending - harmless <= set(self.MOTION)

    def test_one_call_moves_the_robot_and_its_argument_comes_from_the_limiter(self):
        root = Path(reachy_kit.__file__).parents[1]
        calls = []
        for package in ("reachy_kit", "sim/reachy_sim", "policies/reachy_policies"):
            for path in (root / package).rglob("*.py"):
                text = path.read_text()
                for function in ast.walk(ast.parse(text)) if any(name in text for name in self.MOTION) else ():
                    if isinstance(function, ast.FunctionDef):
                        calls += [
                            (path.name, function)
                            for node in ast.walk(function)
                            if isinstance(node, ast.Attribute) and node.attr in self.MOTION
                        ]
        [(file, function)] = calls
        assert (file, function.name) == ("sdk_link.py", "command")
        assigned = {
            ast.unparse(node.targets[0]): ast.unparse(node.value)
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
        }
        assert assigned["(self.motion, flags)"].startswith("limit(")
        assert assigned["pose"] == "self.motion.position"
        [sends] = (node for node in ast.walk(function) if isinstance(node, ast.Try))
        assert {node.id for node in ast.walk(sends.body[0]) if isinstance(node, ast.Name)} <= {
            "self", "pose", "pose_from_vector", "ANTENNAS", "BODY_YAW", "float",
        }  # fmt: skip

    def test_a_whole_run_commands_limited_targets_alone_and_switches_the_motors_off_last(
        self, kit, daemon, proxy, make_bundle
    ):
        bundle = make_bundle(NEUTRAL + 0.9 * (np.arange(9) == YAW))
        result = kit.run("run", bundle, "--robot", proxy.address, "--no-camera", "--seconds", 1)
        assert result.code == 0, result
        assert daemon.lies_down
        sent = [command for command in proxy.log if command.message]
        assert {command.type for command in sent} <= {"set_full_target", *self.SETTINGS}
        *_, last = (index for index, command in enumerate(sent) if command.type == "set_full_target")
        np.testing.assert_allclose(pose_of(sent[last]), SLEEP, atol=1e-3)
        assert [command.type for command in sent[last + 1 :]] == ["set_automatic_body_yaw", "set_torque"]
        assert sent[-1].message["on"] is False
        steps = np.abs(np.diff([pose_of(command) for command in proxy.targets], axis=0))
        pauses = np.diff([command.time for command in proxy.targets])  # of a busy computer: it starts from rest then
        assert (steps[pauses < NOTICED] <= CLASSROOM.speed / CONTROL_HZ + 1e-6).all()
        assert (pauses < NOTICED).mean() > 0.9
        asked = {command.request.split()[1] for command in proxy.log if command.request.startswith("POST")}
        assert asked <= {"/api/move/set_target"}, "with nothing in it, to ask whether a move plays"
