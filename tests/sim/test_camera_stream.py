"""The simulated camera beside the loop: the frames that rendering in the loop gives, at the camera's own rate."""

import contextlib
import threading
import time

import numpy as np
import pytest

from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL
from reachy_kit.runtime.perception.camera import PinholeCamera
from reachy_sim.camera_stream import CAMERA_HZ, CameraStream
from reachy_sim.tasks import variant_by_name
from reachy_sim.world import SimWorld

SMALL = PinholeCamera(64, 48)


@pytest.fixture
def world():
    with contextlib.closing(SimWorld(variant_by_name("track"), SMALL)) as opened:
        yield opened


@pytest.fixture
def stream(world):
    with contextlib.closing(CameraStream(world)) as opened:
        yield opened


def begin(world, seed, start=0.0):
    world.reset(seed)
    world.append_pose(NEUTRAL, start)
    world.start(start)


def pose(now):
    turned = NEUTRAL.copy()
    turned[5] = 0.3 * np.sin(3 * now)
    return turned


def frame_of(stream, now, captured):
    """The frame of a time of capture, once it is drawn."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        image, at = stream(pose(now), now)
        if at == pytest.approx(captured):
            return image
    raise AssertionError(f"no frame of {captured:.3f} s, but of {at:.3f} s")


def test_every_frame_of_the_cameras_rate_comes_and_shows_what_rendering_in_the_loop_shows(world, stream):
    begin(world, 0)
    with contextlib.closing(SimWorld(variant_by_name("track"), SMALL)) as other:
        begin(other, 0)
        times = []
        for tick in range(1, 60):
            now = tick / CONTROL_HZ
            stream.watch(pose(now), now)
            exposure = other.expose(pose(now), now, 1 / CAMERA_HZ)
            if exposure.captured >= 0 and not any(np.isclose(exposure.captured, times)):
                times.append(exposure.captured)
                np.testing.assert_array_equal(frame_of(stream, now, exposure.captured), other.render(exposure))
    frames = np.arange(len(times)) / CAMERA_HZ
    np.testing.assert_allclose(times, frames, atol=0.5 / CONTROL_HZ)  # each at the tick nearest to its time
    assert len(times) > 30 and stream.missed == 0


def test_a_loop_is_not_held_up_by_a_camera_that_draws_slowly(world, stream):
    begin(world, 0)
    stream(pose(0.0), 0.0)
    render, drawn, drawing_ends = world.render, [], threading.Event()

    def slow(exposure):
        drawn.append(exposure)
        drawing_ends.wait()
        return render(exposure)

    world.render = slow
    for tick in range(1, 100):
        stream(pose(tick / CONTROL_HZ), tick / CONTROL_HZ)  # returns, though the drawing does not
    assert len(drawn) <= 1
    drawing_ends.set()
    deadline = time.monotonic() + 30
    while stream.missed <= 30:  # they are counted with the next frame that is drawn
        assert time.monotonic() < deadline, stream.missed
        tick += 1
        stream(pose(tick / CONTROL_HZ), tick / CONTROL_HZ)


@pytest.mark.parametrize("start", [0.0, 100.0])
def test_an_episodes_first_frame_is_its_own(start, world, stream):
    begin(world, 0)
    for tick in range(1, 30):
        stream(pose(tick / CONTROL_HZ), tick / CONTROL_HZ)
    begin(world, 1, start)
    image, captured = stream(NEUTRAL, start)
    assert start - world.latency - 2 / CAMERA_HZ <= captured <= start
    np.testing.assert_array_equal(image, world.render(world.expose(NEUTRAL, start, 1 / CAMERA_HZ)))
