"""Measurement of a recording with a camera: is every frame kept, does the loop stay on time, does the memory stay flat?

The simulated robot moves at 50 Hz, its 640 × 480 camera renders 30 frames per second beside the loop, every frame is
encoded and stored, and an empty loop of the same rate stands for what this computer can do. Takes and empty loops are
measured in turns, because a computer that others use is not equally busy all the time.

Run: python tests/bench/camera_recording.py --seconds 60     (five minutes by default)
"""

import argparse
import contextlib
import functools
import os
import tempfile
from array import array
from pathlib import Path

import numpy as np

from reachy_kit.runtime.interface import CONTROL_HZ
from reachy_kit.runtime.robots.pacer import TickPacer
from reachy_sim.camera_stream import CAMERA_HZ

SECONDS = 300.0
TAKE = 30.0
"""Length of a take, s; after each, a fifth of it is given to an empty loop."""
HZ = 50
"""The policy's rate. The camera's 30 frames per second all appear in a table of 50 rows per second."""
SHAPE = (480, 640, 3)


def loop_lateness() -> tuple[str, float, str, float]:
    """How late the ticks of a recording are, 99th percentile, against those of an empty loop; limit twice as late."""
    measured = measure(SECONDS)
    return "recording 640 × 480, lateness p99", measured["recording_p99"], "an empty loop", measured["empty_p99"]


class MeasuringPacer(TickPacer):
    """A pacer that notes how late each tick is."""

    def __init__(self) -> None:
        self.late = array("d")
        super().__init__(CONTROL_HZ, leeway=0.1)

    def wait(self) -> None:
        """Sleep until the next tick."""
        super().wait()
        self.late.append(max(0.0, self._now() - self._due))

    def percentiles(self, name: str) -> dict[str, float]:
        """Lateness of the ticks, s."""
        return {f"{name}_p{q}": float(np.percentile(self.late, q)) for q in (50, 99)}


@functools.cache
def measure(seconds: float) -> dict[str, float]:
    """Record takes for some seconds, with an empty loop after each.

    Returns:
        Lateness of the ticks, s: ``recording_p50``, ``recording_p99``, ``empty_p50``, ``empty_p99``. Counts of frames:
        ``due`` from the camera, ``lost`` of them (in no row of the dataset), ``rows``, ``video_frames``. Memory:
        ``grown`` from a third of the time to its end, bytes.
    """
    from reachy_kit.dataset.lerobot_writer import LeRobotWriter
    from reachy_kit.runtime.perception.camera import PinholeCamera
    from reachy_kit.runtime.recording.layout import DatasetLayout
    from reachy_kit.runtime.recording.recorder import EpisodeRecorder
    from reachy_kit.runtime.rollout import rollout
    from reachy_sim.camera_stream import CameraStream
    from reachy_sim.robot import SimRobot
    from reachy_sim.tasks import single_expert_policy, variant_by_name
    from reachy_sim.world import GeometricPerception, SimWorld

    world = SimWorld(variant_by_name("track"), PinholeCamera(SHAPE[1], SHAPE[0]))
    perception, expert = GeometricPerception(world), single_expert_policy("track", HZ, 0)
    layout = DatasetLayout("track", "Follow.", perception.names, ("",) * len(perception.names), HZ, SHAPE)
    pacer, empty, memory = MeasuringPacer(), MeasuringPacer(), []
    take = min(TAKE, seconds)
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(world),
        contextlib.closing(CameraStream(world)) as camera,
    ):
        robot = SimRobot(
            camera=camera, image_shape=SHAPE, actuators=world.actuators, watch=camera.watch, realtime=True, pacer=pacer
        )
        with LeRobotWriter(Path(folder) / "data", layout) as writer:
            recorder = EpisodeRecorder(writer, wall_clock=True)
            for seed in range(round(seconds / take)):
                rollout(
                    robot, expert, seconds=take, policy_hz=HZ, seed=seed,
                    perception=perception, world=world, subscribers=[recorder],
                )  # fmt: skip
                memory.append(_resident())
                empty.restart()
                for _ in range(round(take / 5 * CONTROL_HZ)):
                    empty.wait()
        counts = _count_frames(Path(folder) / "data")
    grown = {"grown": float(memory[-1] - memory[len(memory) // 3])}
    return pacer.percentiles("recording") | empty.percentiles("empty") | counts | grown


def _count_frames(root: Path) -> dict[str, float]:
    """Frames of the camera that were due, and lost; rows of the table, and frames of the videos."""
    import av

    from reachy_kit.dataset.reading import open_for_reading
    from reachy_kit.runtime.recording.schema import IMAGE_TIME

    due = lost = rows = frames = 0
    dataset = open_for_reading(root)
    for entry in dataset.episodes:
        times = np.asarray(dataset.read(entry.table, IMAGE_TIME)[entry.index][IMAGE_TIME])
        numbers = np.unique(np.round(times * CAMERA_HZ).astype(int))
        due += numbers[-1] - numbers[0] + 1
        lost += numbers[-1] - numbers[0] + 1 - len(numbers)
        rows += len(times)
    for path in root.glob("videos/**/*.mp4"):
        with av.open(str(path)) as video:
            frames += sum(1 for _ in video.decode(video=0))
    return {"due": due, "lost": lost, "rows": rows, "video_frames": frames}


def _resident() -> int:
    """Memory of this process, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measure, and print each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time to record")
    seconds = parser.parse_args().seconds
    figures = measure(seconds)
    for name in ("recording", "empty"):
        p50, p99 = (1e3 * figures[f"{name}_p{q}"] for q in (50, 99))
        print(f"{name} loop: lateness p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    print(f"ratio of p99: {figures['recording_p99'] / figures['empty_p99']:.2f}")
    print(f"frames of the camera: {figures['due']} due, {figures['lost']} lost")
    print(f"rows {figures['rows']}, frames of the videos {figures['video_frames']}")
    print(f"memory: {figures['grown'] / 1e6:+.1f} MB")


if __name__ == "__main__":
    main()
