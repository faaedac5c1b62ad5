"""CPU time of the camera's path through the SDK, by thread, and how it delays an empty loop of 50 Hz beside it.

Run: .ci/media-root --shell python tests/media/camera_cost.py
"""

import argparse
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from reachy_kit.runtime.perception.targets.ball_target import BallDetector
from reachy_kit.runtime.perception.targets.camera_perception import CameraPerception
from reachy_kit.runtime.robots.media.frame_reader import FrameReader
from reachy_kit.runtime.robots.media.prompt_delivery import deliver_promptly
from tests.media.conftest import camera_of, empty_loop

SIZES = ((1920, 1080), (1280, 720))
HZ = 30
_TICK = os.sysconf("SC_CLK_TCK")


def thread_times() -> dict[str, float]:
    """CPU time of each thread of this process, s, by its name."""
    python = {thread.native_id: thread.name for thread in threading.enumerate()}
    times: dict[str, float] = {}
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            name, rest = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
            fields = rest.split()
            name = python.get(int(task.name), f"{name} (C)")
            times[name] = times.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / _TICK
    return times


@contextlib.contextmanager
def sdk_camera(width: int, height: int) -> Iterator[Callable[[], np.ndarray | None]]:
    """The SDK's own reader of the socket, without a daemon."""
    from reachy_mini.media.camera_constants import ArducamSpecs, CameraResolution
    from reachy_mini.media.camera_gstreamer import GStreamerCamera

    size = next(size for size in CameraResolution if size.value[:3] == (width, height, HZ))
    camera = GStreamerCamera(log_level="ERROR", camera_specs=ArducamSpecs())  # it has both sizes
    camera.set_resolution(size)
    deliver_promptly(camera, "_appsink_video")
    camera.open()
    yield camera.read
    camera.close()


def main() -> None:
    """Measure both sizes, with the reader alone and with the ball's detector."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    for width, height in SIZES:
        with camera_of(width, height, HZ), sdk_camera(width, height) as read:
            alone = empty_loop(seconds / 2)
            frames = FrameReader(read)
            for label in ("reader", "reader and ball detector"):
                detects = "detector" in label
                perception = CameraPerception(BallDetector(), beside_loop=True, frames=frames) if detects else None
                count = [0]
                frames.subscribe(lambda image, captured, count=count: count.__setitem__(0, count[0] + 1))
                before, begun = thread_times(), time.monotonic()
                late = empty_loop(seconds)
                used, passed = thread_times(), time.monotonic() - begun
                if perception:
                    print(perception.summary().text())
                    perception.close()
                print(
                    f"{width} × {height}, {label}: {count[0] / passed:.1f} frames per second; lateness p99 of an empty "
                    f"loop {1e3 * np.quantile(late, 0.99):.2f} ms, before {1e3 * np.quantile(alone, 0.99):.2f} ms"
                )
                for name in sorted(used, key=lambda name: before.get(name, 0) - used[name]):
                    cpu = used[name] - before.get(name, 0.0)
                    if cpu > 0.002 * passed:
                        each = 1e3 * cpu / max(count[0], 1)
                        print(f"    {name}: {100 * cpu / passed:.1f} % of a core, {each:.2f} ms per frame")
            frames.stop()


if __name__ == "__main__":
    sys.exit(main())
