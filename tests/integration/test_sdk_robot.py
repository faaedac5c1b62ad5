"""The robot through its SDK, on the real daemon with a simulated body."""

import os
import signal
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from reachy_kit.runtime.errors import NoRobotError, RefusedError
from reachy_kit.runtime.interface import ACTION_NAMES, BODY_YAW, CONTROL_HZ, NEUTRAL, PITCH, YAW
from reachy_kit.runtime.robots import daemon as daemon_module
from reachy_kit.runtime.robots import sdk as sdk_module
from reachy_kit.runtime.robots.daemon import simulated_daemon
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.robots.link import sdk_link
from reachy_kit.runtime.robots.media.frame_reader import FrameReader
from reachy_kit.runtime.robots.media.sdk_client import open_client
from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig
from reachy_kit.runtime.safety import CLASSROOM

from ..commands.command import child_daemon

DEGREE = np.deg2rad(1.0)


def sdk_robot(address):
    return SdkRobot(SdkRobotConfig(address.host, address.port))


def pose(**parts):
    target = NEUTRAL.copy()
    for name, value in parts.items():
        target[ACTION_NAMES.index(f"{name}.pos")] = value
    return target


def go(robot, target, ticks=CONTROL_HZ):
    """Ask for a target for a while; what was applied last."""
    for _ in range(ticks):
        applied = robot.send_action(target)
        robot.wait_next_tick()
    return applied


def settles(robot, until, axes, wanted, tolerance):
    """The measured axes come within a tolerance; the target stays commanded meanwhile."""
    until(lambda: np.allclose(robot.get_observation().state[axes], wanted, atol=tolerance))


class TestConnected:
    @pytest.fixture(scope="class")
    def robot(self, shared_daemon):
        shared_daemon.lie_down()
        with connected(sdk_robot(shared_daemon.address)) as robot:
            yield robot
        assert shared_daemon.lies_down

    def test_it_stands_at_neutral(self, robot, shared_daemon, until):
        settles(robot, until, slice(None), NEUTRAL, 0.02)
        np.testing.assert_allclose(shared_daemon.state, NEUTRAL, atol=0.03)

    def test_however_often_it_is_asked_it_moves_no_faster(self, robot):
        far = pose(head_yaw=55 * DEGREE, body_yaw=20 * DEGREE)
        began, calls = time.monotonic(), 0
        first = robot.send_action(NEUTRAL)
        while (elapsed := time.monotonic() - began) < 0.2:
            applied = robot.send_action(far)
            calls += 1
        assert calls > 2 * 0.2 * CONTROL_HZ
        assert (np.abs(applied - first) <= CLASSROOM.speed * (elapsed + 1 / CONTROL_HZ)).all()
        go(robot, NEUTRAL)

    def test_the_measured_pose_follows_an_action_within_two_degrees(self, robot, until):
        parts = {"head_yaw": 25, "head_pitch": -10, "head_roll": 8, "body_yaw": 10}
        target = pose(**{name: value * DEGREE for name, value in parts.items()})
        applied = go(robot, target)
        np.testing.assert_allclose(applied, target, atol=1e-6)
        settles(robot, until, slice(3, 9), target[3:], 2 * DEGREE)

    def test_send_action_returns_what_was_applied_not_what_was_asked(self, robot):
        go(robot, NEUTRAL)
        first = robot.send_action(pose(head_yaw=1.0))
        robot.wait_next_tick()
        assert 0 < first[YAW] <= CLASSROOM.speed[YAW] / CONTROL_HZ
        last = go(robot, pose(head_yaw=3.0, head_pitch=2.0))
        assert last[YAW] - last[BODY_YAW] == pytest.approx(CLASSROOM.relative_yaw, abs=0.02)
        assert last[PITCH] <= CLASSROOM.high[PITCH]

    def test_after_a_pause_in_mid_motion_the_robot_starts_from_rest(self, robot, until):
        go(robot, NEUTRAL)
        paused_at = go(robot, pose(head_yaw=0.8), ticks=8)
        assert 0.1 < paused_at[YAW] < 0.6
        settles(robot, until, YAW, paused_at[YAW], 2 * DEGREE)
        begin = time.monotonic()
        until(lambda: time.monotonic() - begin > 0.15)
        np.testing.assert_allclose(robot.send_action(paused_at), paused_at, atol=1e-6)

    def test_the_daemon_leaves_the_body_where_we_tell_it_to_stay(self, robot, until):
        go(robot, pose(head_yaw=55 * DEGREE))
        settles(robot, until, YAW, 55 * DEGREE, 5 * DEGREE)
        settles(robot, until, BODY_YAW, 0.0, 1 * DEGREE)

    def test_an_observation_carries_the_time_of_its_arrival_on_the_monotonic_clock(self, robot):
        times = []
        for _ in range(25):
            times.append(robot.get_observation().capture_time)
            assert 0 <= time.monotonic() - times[-1] < 5.0
            robot.wait_next_tick()
        assert np.all(np.diff(times) >= 0)
        assert len(set(times)) > 5
        assert times[-1] - times[0] > 0.3

    def test_a_frozen_daemon_is_noticed_instead_of_its_last_measurement_being_repeated(
        self, robot, shared_daemon, until, monkeypatch
    ):
        monkeypatch.setattr(sdk_link, "GIVE_UP", 2.0)
        shared_daemon.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(NoRobotError, match="has sent no measurement for 2 s"):
                until(lambda: robot.get_observation() is None)
        finally:
            shared_daemon.process.send_signal(signal.SIGCONT)
        until(lambda: shared_daemon.is_up)


def glance(daemon, until):
    """Body yaw that the daemon chooses for a head at 80° over a body that is commanded to stay at 0."""
    daemon.post("move/goto", {"head_pose": {"z": 0.0}, "body_yaw": 0.0, "duration": 0.5})
    until(lambda: daemon.is_up and not daemon.get("move/running"))
    head = {"x": 0, "y": 0, "z": 0, "roll": 0, "pitch": 0, "yaw": 80 * DEGREE}
    daemon.post("move/set_target", {"target_head_pose": head, "target_body_yaw": 0.0})
    until(lambda: daemon.state[YAW] > 70 * DEGREE)
    return daemon.state[BODY_YAW]


def test_the_robot_lies_down_after_an_exception_and_the_daemon_turns_the_body_by_itself_again(daemon, until):
    with pytest.raises(ZeroDivisionError), connected(sdk_robot(daemon.address)) as robot:
        go(robot, pose(head_yaw=0.8, body_yaw=0.4), ticks=15)
        _ = 1 / 0
    assert daemon.lies_down
    robot.disconnect()  # twice is harmless
    assert glance(daemon, until) == pytest.approx(15 * DEGREE, abs=3 * DEGREE)


@pytest.mark.long
def test_a_daemon_that_dies_is_noticed_and_disconnecting_raises_nothing(no_other_daemon, until, monkeypatch):
    monkeypatch.setattr(sdk_link, "GIVE_UP", 2.0)
    with simulated_daemon() as address:
        robot = sdk_robot(address)
        robot.connect()
        [process] = [child for child in psutil.Process().children() if str(address.port) in child.cmdline()]
        process.kill()
        with pytest.raises(NoRobotError, match="lost the robot"):
            until(lambda: robot.get_observation() is None or robot.send_action(NEUTRAL) is None)
        robot.disconnect()


def test_a_robot_that_is_refused_for_where_it_is_is_let_go_with_its_camera(daemon, monkeypatch):
    monkeypatch.setattr(sdk_module, "is_in_reach", lambda state: False)  # no target leads a daemon there
    monkeypatch.setattr(sdk_module, "require_media", lambda *arguments, **options: None)  # Debian 12 has no camera
    monkeypatch.setattr(sdk_module, "require_frames", lambda address: None)
    monkeypatch.setattr(sdk_module, "open_client", lambda address, media: open_client(address, media=False))
    monkeypatch.setattr(sdk_module, "open_camera", lambda client, address: FrameReader(lambda: None))
    robot = SdkRobot(SdkRobotConfig(daemon.address.host, daemon.address.port, camera=True))
    with pytest.raises(RefusedError, match="measured where its legs do not reach"):
        robot.connect()
    assert "camera" not in [thread.name for thread in threading.enumerate()]
    assert robot.camera_age is None


@pytest.fixture
def jumping_daemon(no_other_daemon, as_daemon, tmp_path, monkeypatch):
    """A daemon without physics: its motors jump."""
    script = tmp_path / "reachy-mini-daemon"
    script.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "from reachy_mini.daemon.app.main import main\n"
        "sys.argv[sys.argv.index('--sim')] = '--mockup-sim'\n"
        "main()\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(daemon_module, "_command", lambda: script)
    with simulated_daemon() as address:
        yield as_daemon(address, child_daemon(os.getpid(), address.port))


@pytest.mark.long
def test_a_robot_whose_daemon_takes_the_head_for_its_mirror_image_gets_up(jumping_daemon, until):
    raised = {"x": 0, "y": 0, "z": 0.02, "roll": 0, "pitch": 0, "yaw": 0}
    jumping_daemon.post("move/set_target", {"target_head_pose": raised})
    until(lambda: jumping_daemon.state[2] < -0.14)
    with connected(sdk_robot(jumping_daemon.address)) as robot:
        applied = go(robot, pose(head_yaw=0.3), ticks=2 * CONTROL_HZ)
        np.testing.assert_allclose(robot.get_observation().state, applied, atol=0.01)
