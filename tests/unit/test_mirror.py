"""The mirror: the head follows a marker before a camera. A video stands for the camera; everything else is real."""

import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import NEUTRAL, PITCH, YAW, Observation
from reachy_kit.runtime.perception.targets.target_registry import target_by_name
from reachy_kit.runtime.teleop.teleoperator import TeleopContext, open_teleoperator

WIDTH, HEIGHT, FPS = 640, 360, 30
START = NEUTRAL + 0.2 * np.eye(9)[YAW]


@pytest.fixture
def video(tmp_path):
    """Writes a video of a marker with given places and sides in px, (column, row, side) for each frame."""
    picture = target_by_name("marker:7").kind.picture("7").image

    def write(places) -> str:
        path = str(tmp_path / "marker.avi")
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
        for place in places:
            frame = np.full((HEIGHT, WIDTH, 3), 120, dtype=np.uint8)
            if place:
                column, row, side = place
                small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
                frame[row - side // 2 :, column - side // 2 :][:side, :side] = small
            writer.write(frame)
        writer.release()
        return path

    return write


@pytest.fixture
def mirror():
    """Opens the device on a video, connected; it is closed at the end."""
    opened = []

    def open_mirror(path: str):
        device = open_teleoperator("mirror", TeleopContext(f"marker:7@{path}", 25))
        device.connect(None)
        opened.append(device)
        device.reset()
        return device

    yield open_mirror
    for device in opened:
        device.disconnect()
        device.disconnect()


def drive(device, until: Callable[[np.ndarray], bool], action=START, within=20.0):
    """Actions of a robot that follows at once, decided until a condition is met."""
    actions, deadline = [action], time.monotonic() + within
    while not until(actions[-1]):
        assert time.monotonic() < deadline, actions[-1]
        actions.append(device.act(Observation(actions[-1], time.monotonic(), last_action=actions[-1])))
        time.sleep(0.01)
    return np.array(actions)


STILL = [(320, 180, 80)] * 30


@pytest.mark.parametrize(
    ("place", "reached"),
    [
        pytest.param((200, 180, 80), lambda pose: pose[YAW] > 0.35, id="to the image's left: the head turns left"),
        pytest.param((440, 180, 80), lambda pose: pose[YAW] < 0.05, id="to the right", marks=pytest.mark.long),
        pytest.param((320, 280, 80), lambda pose: pose[PITCH] > 0.1, id="down"),
        pytest.param((320, 180, 140), lambda pose: pose[0] > 0.01, id="nearer: the head comes forward"),
    ],
)
def test_the_head_follows_without_a_jump(place, reached, video, mirror):
    actions = drive(mirror(video([*STILL, *[place] * 300])), reached)
    assert np.array_equal(actions[0], actions[1])  # it starts where the robot is
    assert np.abs(np.diff(actions, axis=0)[:, 3:7]).max() < 3.0 / 25  # within the limiter's speed
    assert (actions[:, 6:] == START[6:]).all()  # body and antennas stay


def test_where_nothing_is_to_be_seen_the_head_stays(video, mirror):
    device = mirror(video([None] * 300))
    decisions = iter(range(60))
    actions = drive(device, lambda pose: next(decisions) == 59)
    assert (actions == START).all()
    assert device.lost is None


def test_a_video_that_ends_is_a_lost_device_which_returns_when_it_is_played_again(video, mirror, tmp_path):
    device = mirror(video([(320, 180, 80)] * 5))
    (tmp_path / "marker.avi").rename(tmp_path / "away.avi")
    deadline = time.monotonic() + 20
    while device.lost is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "has sent no frame for" in device.lost
    (tmp_path / "away.avi").rename(tmp_path / "marker.avi")
    while device.lost:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("argument", "says"), [("@99", "camera 99"), ("@nothing.avi", "nothing.avi"), ("sdk-face", "face or marker")]
)
def test_a_camera_or_a_target_that_is_not_there_is_said(argument, says):
    with pytest.raises(WrongUseError, match=says):
        device = open_teleoperator("mirror", TeleopContext(argument, 25))
        try:
            device.connect(None)
        finally:
            device.disconnect()
