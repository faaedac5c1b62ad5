"""The head camera of a simulated world as the camera of a robot: frames into the Unix socket from which the SDK reads.

It follows the robot's measured pose through its daemon and draws what the head sees there. For each frame it prints the
time, s on the monotonic clock, and the gaze error, rad: what the robot under test does not know.

Run: python tests/media/world_camera.py HOST:PORT --seed 3
"""

import argparse
import sys
import time

import cv2

from reachy_kit.runtime.interface import Observation
from reachy_kit.runtime.robots.daemon import parse_address
from reachy_kit.runtime.robots.state_stream import StateStream
from reachy_sim.tasks import variant_by_name
from reachy_sim.world import SimWorld

from .camera_sender import FrameSink

HZ = 10
"""Frames per second. Source: IPC_FPS, at which the daemon of reachy_mini 1.13 serves programs on its own computer."""
SIZE = (1920, 1080)


def main() -> None:
    """Send frames until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", type=parse_address)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    stream = StateStream(options.address)
    if not stream.wait_for_first(30):
        sys.exit(f"{options.address} sends no measurements")
    world, sink = SimWorld(variant_by_name("look_at")), FrameSink(*SIZE, HZ)
    world.reset(options.seed)
    due = time.monotonic()
    world.start(due)
    while True:
        state, now = stream.state, time.monotonic()
        if state is not None:
            image, _ = world.camera(state, now)
            sink.send(cv2.resize(image, SIZE, interpolation=cv2.INTER_NEAREST))
            print(now, world.measure(Observation(state, now)).task_error, flush=True)
        due = max(due + 1 / HZ, time.monotonic() - 0.1)
        time.sleep(max(due - time.monotonic(), 0.0))


if __name__ == "__main__":
    main()
