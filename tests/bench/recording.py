"""Measurements of recording: a save early and late in a dataset, with and without images, and a whole recording."""

import contextlib
import functools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

LIMIT = 0.030
"""Longest time of a save beyond the disk's own flushing, s."""
RECORDING_LIMIT = 40.0
"""Longest time of 50 episodes of hard track, LeRobot's loading included, s."""
EARLY, LATE, COUNT = 5, 200, 10
"""Episodes after which saves are measured, and how many."""
FRAMES = 150
"""Frames of an episode: six seconds at 25 Hz, those of track."""


def early_save() -> tuple[str, float, str, float]:
    """A save at the beginning of a dataset, beyond fsync."""
    return f"a save after {EARLY} episodes, beyond fsync", _saves(camera=False)[0], "the limit", LIMIT


def late_save() -> tuple[str, float, str, float]:
    """A save late in the same dataset, against an early one."""
    early, late, _ = _saves(camera=False)
    return f"a save after {LATE} episodes, beyond fsync", late, f"after {EARLY}", early


def flushing() -> tuple[str, float, str, float]:
    """The fsyncs of a save, against the rest of it."""
    early, _, flushed = _saves(camera=False)
    return "the fsyncs of a save", flushed, "the rest of it", early


def save_with_images() -> tuple[str, float, str, float]:
    """A save with 320 × 180 images, against one without."""
    return "a save with 320 × 180 images", _saves(camera=True)[0], "without", _saves(camera=False)[0]


def whole_recording() -> tuple[str, float, str, float]:
    """50 episodes of hard track by the command."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["record", "--task", "track", "--variant", "hard", "--episodes", "50", "--out", f"{folder}/data"]
        start = time.perf_counter()
        subprocess.run([Path(sys.executable).with_name("reachy-kit"), *words], check=True, capture_output=True)
        return "record, 50 episodes of hard track", time.perf_counter() - start, "the limit", RECORDING_LIMIT


@functools.cache
def _saves(*, camera: bool) -> tuple[float, float, float]:
    """Median s of a save beyond its fsyncs, early and late, and of those fsyncs; with images only early."""
    from reachy_kit.dataset.lerobot_writer import LeRobotWriter
    from reachy_kit.runtime.recording.labels import EpisodeLabels
    from reachy_kit.runtime.recording.layout import DatasetLayout

    layout = DatasetLayout("look_at", "Look.", ("a", "b"), ("1", "1"), 25, (180, 320, 3) if camera else None)
    folder = Path(tempfile.mkdtemp())
    try:
        writer = LeRobotWriter(folder / "data", layout)
        times = []
        for episode in range(EARLY + COUNT if camera else LATE + COUNT):
            frames = _frames(layout, episode)
            with _fsync_time() as flushed:
                start = time.perf_counter()
                writer.write(frames, EpisodeLabels("Look."))
                times.append((time.perf_counter() - start - flushed[0], flushed[0]))
    finally:
        shutil.rmtree(folder)
    rest, flushes = zip(*times, strict=True)
    early = slice(EARLY, EARLY + COUNT)
    return statistics.median(rest[early]), statistics.median(rest[-COUNT:]), statistics.median(flushes[early])


def _frames(layout, episode: int) -> list[dict[str, np.ndarray]]:
    from reachy_kit.runtime.interface import NEUTRAL, Observation, Step
    from reachy_kit.runtime.recording.labels import EpisodeLabels, label_frames
    from reachy_kit.runtime.recording.schema import frame

    rng = np.random.default_rng(episode)
    frames = []
    for index in range(FRAMES):
        state, features, action = rng.normal(size=9), rng.normal(size=2), rng.normal(size=9)
        images = {"head": rng.integers(0, 256, layout.image_shape, dtype=np.uint8)} if layout.image_shape else {}
        times = dict.fromkeys(images, index / 25)
        observation = Observation(
            NEUTRAL + state,
            index / 25,
            environment_state=features,
            last_action=action,
            images=images,
            image_times=times,
        )
        step = Step(index, observation, action, None, observation, action)
        frames.append(frame(step, episode, start=0.0, image=bool(images)))
    label_frames(frames, EpisodeLabels("Look."), world=False)
    return frames


def _image(shape: tuple[int, int, int], index: int) -> np.ndarray:
    """A room of soft colours with a ball that crosses it, for noise has no place in a video."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = np.stack([rows % 256, columns % 256, (rows + columns) // 2 % 256], axis=-1).astype(np.uint8)
    image[np.hypot(rows - 90, columns - 20 - 2 * index) < 15] = (200, 40, 30)
    return image


@contextlib.contextmanager
def _fsync_time() -> Iterator[list[float]]:
    """Adds up the time in ``os.fsync`` within a block, s."""
    fsync, total = os.fsync, [0.0]

    def timed(handle: int) -> None:
        start = time.perf_counter()
        fsync(handle)
        total[0] += time.perf_counter() - start

    os.fsync = timed
    try:
        yield total
    finally:
        os.fsync = fsync
