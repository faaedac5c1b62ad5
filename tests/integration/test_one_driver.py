"""One driver for each robot: a second program is refused, and commands that are not ours are noticed."""

import http.client
import json
import os
import signal
import stat
import threading
import time

import numpy as np
import psutil
import pytest

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import NEUTRAL, YAW
from reachy_kit.runtime.robots.daemon import DaemonAddress, simulated_daemon
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.robots.link.driver_lock import DriverLock
from reachy_kit.runtime.robots.link.other_drivers import OtherDrivers
from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig

from .daemon_proxy import DaemonProxy

LOOKING_LEFT = NEUTRAL + 0.5 * (np.arange(9) == YAW)
SECONDS = ("--no-camera", "--seconds", 30)


def looks_left(daemon):
    """The policy is in charge: neutral, on the way in and out, looks straight ahead."""
    return daemon.state[YAW] > 0.3


def test_a_second_run_is_refused_and_the_first_is_not_disturbed(kit, daemon, make_bundle, until):
    bundle = make_bundle(LOOKING_LEFT)
    first = kit.start("run", bundle, "--robot", daemon.address, *SECONDS)
    until(lambda: looks_left(daemon))
    other_name = f"localhost:{daemon.address.port}"
    kit.run("run", bundle, "--robot", other_name, *SECONDS).says(4, f"already driven by process {first.pid} on this")
    assert looks_left(daemon)
    first.send(signal.SIGINT)
    first.wait().says(130)
    assert daemon.lies_down


def test_the_robot_of_a_process_that_was_killed_can_be_driven_again(kit, daemon, make_bundle, until):
    bundle = make_bundle(LOOKING_LEFT)
    killed = kit.start("run", bundle, "--robot", daemon.address, *SECONDS)
    until(lambda: looks_left(daemon))
    killed.send(signal.SIGKILL)
    until(lambda: killed.poll() is not None)
    assert kit.run("run", bundle, "--robot", daemon.address, "--no-camera", "--seconds", 1).code == 0
    assert daemon.lies_down


@pytest.mark.parametrize(
    "command",
    [("record", "--out", "data"), ("sysid", "--yes"), ("view", "--policy", "none", "--out", "film.gif")],
    ids=lambda command: command[0],
)
def test_every_command_that_drives_is_refused(kit, daemon, command):
    lock = DriverLock(daemon.address)
    lock.acquire()
    try:
        kit.run(*command, "--robot", daemon.address).says(4, f"already driven by process {os.getpid()}")
    finally:
        lock.close()


def test_a_move_of_another_program_is_noticed_and_the_robot_lies_down(kit, daemon, make_bundle, until):
    command = kit.start("run", make_bundle(LOOKING_LEFT), "--robot", daemon.address, *SECONDS)
    until(lambda: looks_left(daemon))
    daemon.post("move/goto", {"head_pose": {"yaw": -0.5}, "duration": 2.0})
    command.wait().says(4, "plays another client's move", "End the other program")
    assert daemon.lies_down


def test_a_stream_of_targets_from_another_program_is_noticed(kit, daemon, make_bundle, until):
    command = kit.start("run", make_bundle(LOOKING_LEFT), "--robot", daemon.address, *SECONDS)
    until(lambda: looks_left(daemon))
    with streaming(daemon, {"target_head_pose": {"yaw": -0.5}}):
        command.wait().says(4, "away from where it was commanded", "another program commands it")


def test_a_head_that_a_hand_turned_in_a_pause_is_not_another_program():
    others = OtherDrivers(DaemonAddress("127.0.0.1", 9))
    for measurements in range(1, 60):
        others.observe(NEUTRAL, measurements)
        others.sent(NEUTRAL, NEUTRAL)
    others.observe(LOOKING_LEFT, 600)
    others.refuse()
    assert not others.in_doubt


def test_a_head_that_does_not_come_down_keeps_its_motors_on_and_is_an_error(daemon):
    with DaemonProxy(daemon.address) as proxy:
        robot = SdkRobot(SdkRobotConfig(proxy.address.host, proxy.address.port))
        robot.connect()
        with streaming(daemon, {"target_head_pose": {"z": 0.0}}):
            with pytest.raises(RefusedError, match="did not lie down, its motors stay on"):
                robot.disconnect()
            assert not daemon.lies_down
        assert not [command for command in proxy.log if command.message.get("on") is False], "torque went off"
    bring = SdkRobot(SdkRobotConfig(daemon.address.host, daemon.address.port))
    bring.bring_to_rest()
    assert daemon.lies_down


def test_a_daemon_that_does_not_answer_does_not_count_as_one_without_other_drivers(daemon):
    with DaemonProxy(daemon.address) as proxy:
        proxy.mute()
        with pytest.raises(RefusedError, match="does not say whether something else drives"):
            OtherDrivers(proxy.address).require_none(1.0)
        others = OtherDrivers(proxy.address)
        others.watch()
        try:
            for count in range(40):
                others.observe(NEUTRAL, count)
                others.sent(NEUTRAL, NEUTRAL)
            others.observe(LOOKING_LEFT, 40)
            assert others.in_doubt
            time.sleep(2.5)  # longer than a question waits for its answer
            others.observe(LOOKING_LEFT, 41)
            assert others.in_doubt, "no answer is not an answer"
            proxy.unmute()
            deadline = time.monotonic() + 10.0
            while others.in_doubt and time.monotonic() < deadline:
                others.observe(LOOKING_LEFT, 41)
                time.sleep(0.05)
            assert not others.in_doubt
        finally:
            others.stop()


class streaming:  # noqa: N801  (a context manager)
    """Another program that sends the same target to a daemon, again and again."""

    def __init__(self, daemon, target):
        self.address, self.target = daemon.address, json.dumps(target)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.send)

    def send(self):
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=5)
        while not self.stopped.is_set():
            connection.request("POST", "/api/move/set_target", self.target, {"Content-Type": "application/json"})
            connection.getresponse().read()

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *reason):
        self.stopped.set()
        self.thread.join()


def test_a_robot_that_plays_a_long_move_is_not_driven(kit, daemon, make_bundle):
    move = daemon.post("move/goto", {"head_pose": {"z": 0.0}, "duration": 300.0})
    kit.run("run", make_bundle(LOOKING_LEFT), "--robot", daemon.address, *SECONDS).says(
        4, "plays another client's move"
    )
    daemon.post("move/stop", move)


@pytest.fixture
def daemon_with_an_app(no_other_daemon, as_daemon, tmp_path, monkeypatch):
    """A simulated daemon of its own, with an app installed that does nothing."""
    distribution = tmp_path / "standing_still-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: standing-still\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text("[reachy_mini_apps]\nstanding_still = standing_still:App\n")
    (tmp_path / "standing_still.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.chdir(tmp_path)  # where the daemon starts its apps
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    with simulated_daemon() as address:
        [process] = [child for child in psutil.Process().children() if str(address.port) in child.cmdline()]
        yield as_daemon(address, process)


@pytest.mark.long
def test_an_app_that_takes_the_robot_over_keeps_it_and_nothing_else_may_drive_it(
    kit, daemon_with_an_app, make_bundle, until
):
    daemon, bundle = daemon_with_an_app, make_bundle(LOOKING_LEFT)
    command = kit.start("run", bundle, "--robot", daemon.address, *SECONDS)
    until(lambda: looks_left(daemon))
    daemon.post("apps/start-app/standing_still", {})
    command.wait().says(4, "the app standing_still has taken over the robot")
    assert looks_left(daemon)
    assert daemon.get("state/full")["control_mode"] == "enabled"
    kit.run("run", bundle, "--robot", daemon.address, *SECONDS).says(4, "the app standing_still drives the robot")
    daemon.post("apps/stop-current-app", {})
    assert kit.run("run", bundle, "--robot", daemon.address, "--no-camera", "--seconds", 1).code == 0
    assert daemon.lies_down


class TestLock:
    """The lock alone, on addresses where nothing answers."""

    @pytest.fixture(autouse=True)
    def temporary_folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        return tmp_path

    @pytest.mark.parametrize(("one", "other"), [("localhost", "127.0.0.1"), ("127.0.0.1", "::1"), ("192.0.2.7",) * 2])
    def test_names_of_the_same_computer_are_the_same_robot(self, one, other):
        first, second = DriverLock(DaemonAddress(one, 9)), DriverLock(DaemonAddress(other, 9))
        first.acquire()
        with pytest.raises(RefusedError, match=f"driven by process {os.getpid()}"):
            second.acquire()
        first.close()
        first.close()
        second.acquire()
        second.close()

    def test_a_holder_that_was_just_killed_is_waited_for(self, temporary_folder):
        """Its files are gone from it already, and its lock is not yet free."""
        holder, second = (DriverLock(DaemonAddress("127.0.0.1", 9)) for _ in range(2))
        holder.acquire()
        [file] = temporary_folder.iterdir()
        file.write_text("1 15 127.0.0.1:9")  # a process that lives, and does not have it open
        threading.Timer(0.3, holder.close).start()
        second.acquire()
        second.close()

    @pytest.mark.parametrize("other", [DaemonAddress("127.0.0.1", 10), DaemonAddress("192.0.2.7", 9)])
    def test_another_robot_is_free(self, other):
        for address in (DaemonAddress("127.0.0.1", 9), other):
            DriverLock(address).acquire()

    def test_every_user_of_the_computer_can_take_it(self, temporary_folder):
        before = os.umask(0o077)
        try:
            DriverLock(DaemonAddress("127.0.0.1", 9)).acquire()
        finally:
            os.umask(before)
        [file] = temporary_folder.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o666

    def test_another_users_file_that_cannot_be_written_still_locks(self, temporary_folder):
        holder = DriverLock(DaemonAddress("127.0.0.1", 9))
        holder.acquire()
        holder.close()
        [file] = temporary_folder.iterdir()
        file.chmod(0o444)
        holder.acquire()
        with pytest.raises(RefusedError, match="already driven"):
            DriverLock(DaemonAddress("127.0.0.1", 9)).acquire()

    def test_without_a_temporary_folder_there_is_none(self, temporary_folder, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(temporary_folder / "missing"))
        for _ in range(2):
            DriverLock(DaemonAddress("127.0.0.1", 9)).acquire()


def test_a_robot_that_does_not_answer_is_not_kept_locked():
    robot = SdkRobot(SdkRobotConfig("127.0.0.1", 9))
    for _ in range(2):
        with pytest.raises(Exception, match="no Reachy Mini daemon answers"), connected(robot):
            pass
    lock = DriverLock(robot.address)
    lock.acquire()
    lock.close()
