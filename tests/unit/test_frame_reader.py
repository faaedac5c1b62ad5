"""The reader of the robot's camera, without one: Debian 12's GStreamer delivers no frames. With one: tests/media."""

import itertools
import queue
import re
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from reachy_kit.runtime.interface import CAMERA, NEUTRAL, Observation
from reachy_kit.runtime.perception.camera import CAMERA_SILENT_AFTER
from reachy_kit.runtime.perception.target import AGE, RIGHT, VISIBLE
from reachy_kit.runtime.perception.targets.camera_perception import CameraPerception
from reachy_kit.runtime.robots.daemon import DaemonAddress
from reachy_kit.runtime.robots.media.frame_reader import FrameReader
from reachy_kit.runtime.robots.media.sdk_client import open_camera


class Camera:
    """What the SDK's get_frame returns: the next frame, None after 20 ms without one."""

    def __init__(self):
        self.frames = queue.SimpleQueue()

    def show(self, blue=0, red=0):
        frame = np.zeros((18, 32, 3), dtype=np.uint8)
        frame[..., 0], frame[..., 2] = blue, red
        self.frames.put(frame)

    def fail(self, error):
        self.frames.put(error)

    def get_frame(self):
        try:
            frame = self.frames.get(timeout=0.02)
        except queue.Empty:
            return None
        if isinstance(frame, Exception):
            raise frame
        return frame


@pytest.fixture
def camera():
    return Camera()


@pytest.fixture
def reader(camera):
    reader = FrameReader(camera.get_frame)
    yield reader
    reader.stop()


def until(condition, within=30.0):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def last_without_a_fault(reader):
    """Time at which the reader had last no fault to report, however late a busy computer lets the test look again."""
    asked = None
    while True:
        now = time.monotonic()
        if reader.fault:
            return asked
        asked = now
        time.sleep(0.002)


def test_a_frame_is_rgb_and_carries_the_time_of_its_arrival(camera, reader):
    before = time.monotonic()
    camera.show(blue=7, red=200)
    assert reader.wait_for_first(30)
    image, captured = reader.latest
    assert image[0, 0].tolist() == [200, 0, 7]
    assert before <= captured <= time.monotonic()
    assert reader.shape == (18, 32, 3)


def test_subscribers_get_each_frame_once_and_the_loop_the_newest(camera, reader):
    received = []
    reader.subscribe(lambda image, captured: received.append((image, captured)))
    for red in range(1, 6):
        camera.show(red=red)
    until(lambda: len(received) == 5)
    assert [image[0, 0, 0] for image, _ in received] == [1, 2, 3, 4, 5]
    assert all(np.diff([captured for _, captured in received]) > 0)
    assert reader.latest[0] is received[-1][0]


def test_a_subscriber_that_leaves_is_not_called_again(camera, reader):
    received = []
    receive = lambda image, captured: received.append(image)  # noqa: E731
    reader.subscribe(receive)
    reader.unsubscribe(receive)
    camera.show()
    assert reader.wait_for_first(30)
    reader.stop()
    assert received == []


def test_a_camera_that_never_starts_is_reported_after_half_a_second(reader):
    began = time.monotonic()
    assert last_without_a_fault(reader) - began <= CAMERA_SILENT_AFTER
    assert reader.fault == "has not delivered a frame"
    assert not reader.wait_for_first(0)
    assert reader.latest is reader.shape is None


def test_a_camera_that_stops_is_reported_after_half_a_second_and_works_again_when_it_returns(camera, reader):
    camera.show()
    assert reader.wait_for_first(30)
    captured = reader.latest[1]
    assert last_without_a_fault(reader) - captured <= CAMERA_SILENT_AFTER < reader.frame_age
    assert re.fullmatch(r"has delivered no frame for \d\.\d s", reader.fault)
    shown = time.monotonic()
    camera.show()
    until(lambda: reader.fault is None)
    assert reader.latest[1] >= shown


def test_a_camera_that_falls_silent_is_opened_again(camera):
    """As after a restart of its daemon, which closes what frames come from."""
    opened = []

    def reopen():
        opened.append(time.monotonic())
        camera.show(red=len(opened))

    reader = FrameReader(camera.get_frame, reopen)
    camera.show(red=9)
    assert reader.wait_for_first(30)
    last = reader.latest[1]
    until(lambda: opened)
    assert opened[0] - last > 1.0
    until(lambda: reader.latest[0][0, 0, 0] == 1)
    reader.stop()


def test_a_camera_that_hangs_does_not_keep_the_robot_from_lying_down():
    reader = FrameReader(threading.Event().wait)
    began = time.monotonic()
    reader.stop()
    assert time.monotonic() - began < 5.0


def test_a_frame_that_cannot_be_read_is_the_cameras_fault(camera, reader):
    camera.fail(ValueError("cannot reshape array of size 5"))
    until(lambda: reader.fault)
    assert reader.fault == "cannot be read (cannot reshape array of size 5)"
    assert not reader.wait_for_first(30)


class Brightness:
    """A detector that answers with the red of a frame, after the test lets it."""

    width = 320

    def __init__(self):
        self.begun, self.tickets = queue.SimpleQueue(), queue.SimpleQueue()

    def reset(self):
        pass

    def detect(self, image):
        self.begun.put(image)
        self.tickets.get(timeout=20)
        return np.array([float(image[0, 0, 0]), 0.0, 0.05])


def test_a_detector_gets_frames_as_they_arrive_and_the_loop_never_waits_for_it(camera, reader):
    detector = Brightness()
    perception = CameraPerception(detector, beside_loop=True, frames=reader)
    perception.reset(0)

    def perceive():
        """Features for a loop that is not asked to hand on a frame."""
        image, captured = reader.latest
        now = time.monotonic()
        return perception.perceive(Observation(NEUTRAL, now, images={CAMERA: image}, image_times={CAMERA: captured}))

    camera.show(red=3)
    assert reader.wait_for_first(30)
    first = reader.latest[1]
    began = time.monotonic()
    assert perceive()[VISIBLE] == 0
    assert time.monotonic() - began < 10, "it waited for the detector, which hangs for 20 s"
    detector.tickets.put(None)
    until(lambda: perceive()[RIGHT] == 3)
    before = time.monotonic()
    assert before - first - 1e-3 <= perceive()[AGE] <= time.monotonic() - first + 1e-3
    camera.show(red=4)
    for _ in range(2):
        detector.begun.get(timeout=20)
    for red in (5, 6):
        camera.show(red=red)
    until(lambda: reader.latest[0][0, 0, 0] == 6)
    for _ in range(2):
        detector.tickets.put(None)
    until(lambda: perceive()[RIGHT] == 6)
    assert perception.summary().frames == 3  # 3, the one that was in work when the others came, and the newest
    perception.close()


def test_ctrl_c_while_the_first_frame_is_awaited_ends_the_reading():
    looks, threads = itertools.count(), threading.active_count()

    def get_frame():
        if next(looks) == 50:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    client = SimpleNamespace(media=SimpleNamespace(camera=object(), get_frame=get_frame), connection_mode="network")
    with pytest.raises(KeyboardInterrupt):
        open_camera(client, DaemonAddress("127.0.0.1", 9))
    assert threading.active_count() == threads
