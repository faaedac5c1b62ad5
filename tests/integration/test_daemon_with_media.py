"""A daemon that has camera and sound, on a computer whose GStreamer is too old for them, as Debian 12's is."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CAMERA, NEUTRAL
from reachy_kit.runtime.robots.daemon import DaemonAddress, daemon_status
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig


@pytest.fixture(scope="module")
def address(until):
    """A daemon without physics that was not started with --no-media."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = DaemonAddress("127.0.0.1", probe.getsockname()[1])
    command = [
        str(Path(sys.executable).with_name("reachy-mini-daemon")), "--mockup-sim", "--fastapi-host", address.host,
        "--fastapi-port", str(address.port), "--no-wake-up-on-start", "--no-goto-sleep-on-stop",
        "--dataset-update-interval", "0",
    ]  # fmt: skip
    quiet = os.environ | {"REACHY_MINI_TELEMETRY": "0", "DO_NOT_TRACK": "1", "MUJOCO_GL": "disable"}
    process = subprocess.Popen(command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: (daemon_status(address, timeout=0.5) or {}).get("state") == "running")
        # Without physics the robot begins 15 cm below neutral, where no legs reach.
        move = json.dumps({"head_pose": {"z": 0.0}, "duration": 0.2}).encode()
        request = urllib.request.Request(f"http://{address}/api/move/goto", move, {"Content-Type": "application/json"})
        urllib.request.urlopen(request).close()
        yield address
    finally:
        process.kill()
        process.wait()


def sdk_robot(address, **parts):
    return SdkRobot(SdkRobotConfig(address.host, address.port, **parts))


def test_a_robot_is_driven_without_its_camera_and_the_daemon_keeps_that(address, until):
    with connected(sdk_robot(address)) as robot:
        target = NEUTRAL.copy()
        target[5] = 0.1
        until(lambda: robot.send_action(target)[5] == pytest.approx(0.1, abs=1e-3) or robot.wait_next_tick())
        observation = robot.get_observation()
        status = daemon_status(address)
    assert (status["no_media"], status["media_released"]) == (False, False)
    assert observation.images == {}
    assert robot.camera_age is None


@pytest.mark.parametrize("part", ["camera", pytest.param("microphone", marks=pytest.mark.long)])
def test_a_camera_that_cannot_be_opened_is_named_and_the_robot_is_free_again(address, part):
    for _ in range(2):  # the second finds no lock of the first
        with (
            pytest.raises(KitError, match="It needs GStreamer") as refused,
            connected(sdk_robot(address, **{part: True})),
        ):
            pass
        assert "lost" not in str(refused.value)
    with connected(sdk_robot(address)):
        pass


def test_the_size_of_the_images_is_what_the_sdk_will_read_and_known_before_connecting(address):
    assert sdk_robot(address, camera=True).observation_features[CAMERA] == (1080, 1920, 3)
    assert CAMERA not in sdk_robot(address).observation_features
