"""Episodes of random numbers to save, and what LeRobot must then read."""

import os
import signal
import sys

import numpy as np

from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.schema import (
    ACTION,
    CAPTURE_TIME,
    IMAGE,
    IMAGE_TIME,
    INTERVENTION,
    OBS_ENV_STATE,
    OBS_LAST_ACTION,
    OBS_STATE,
    OPERATOR,
    REQUESTED_ACTION,
    REWARD,
    SEED,
    SUCCESS,
    SUCCESS_MARK,
)

from ..forked import in_a_child

HEIGHT, WIDTH = 48, 64
STATE = DatasetLayout("look_at", "Look.", ("right", "below"), ("rad", "rad"), 25)
CAMERA = DatasetLayout("look_at", "Look.", ("right", "below"), ("rad", "rad"), 25, (HEIGHT, WIDTH, 3))
LABELS = EpisodeLabels(STATE.instruction)
VECTORS = OBS_STATE, OBS_LAST_ACTION, ACTION, REQUESTED_ACTION
LENGTHS = 7, 20, 3, 12, 9


def episode(index, layout=STATE):
    """Frames of an episode: random numbers, and images whose brightness tells episode and frame."""
    rng = np.random.default_rng(index)
    frames = []
    for step in range(LENGTHS[index % len(LENGTHS)]):
        frame = {key: rng.normal(0, 0.01, 9).astype(np.float32) for key in VECTORS}
        frame[OBS_ENV_STATE] = rng.normal(0, 0.01, 2).astype(np.float32)
        frame[REWARD], frame[SUCCESS] = np.array([0.5], np.float32), np.array([step > 1])
        frame[INTERVENTION], frame[SUCCESS_MARK] = np.array([False]), np.array([-1])
        frame[OPERATOR] = np.array([LABELS.operator])
        frame[CAPTURE_TIME], frame[SEED] = np.array([step / 25]), np.array([1_000_000 + index])
        if layout.image_shape:
            frame[IMAGE] = np.full((HEIGHT, WIDTH, 3), brightness(index, step), dtype=np.uint8)
            frame[IMAGE_TIME] = np.array([step / 25])
        frames.append(frame)
    return frames


def brightness(index, step):
    return (40 * index + 9 * step) % 200 + 20


def write(root, indices, layout=STATE):
    """Save episodes in one session."""
    with LeRobotWriter(root, layout) as writer:
        for index in indices:
            writer.write(episode(index, layout), LABELS)


def lerobot_dataset(root, **options):
    """The dataset as LeRobot itself reads it."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset(f"local/{root.name}", root=root, video_backend="pyav", **options)


def require_episodes(root, count, layout=STATE):
    """LeRobot reads that many of the episodes that `episode` makes, each of their frames with its own image."""
    dataset = lerobot_dataset(root)
    assert dataset.num_episodes == count
    wanted = [(index, step, frame) for index in range(count) for step, frame in enumerate(episode(index, layout))]
    assert len(dataset) == len(wanted)
    for row, (index, step, frame) in enumerate(wanted):
        item = dataset[row]
        assert (item["episode_index"], item["frame_index"], item["index"]) == (index, step, row)
        np.testing.assert_array_equal(item[ACTION], frame[ACTION])
        if layout.image_shape:
            assert abs(float(item[IMAGE].mean()) * 255 - brightness(index, step)) < 3, (index, step)


def files(root):
    """Every file of a folder, with its content."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def numbered(root, folder):
    return sorted(path.name for path in (root / folder).rglob("file-*"))


def killed_at(number, work):
    """Work in a process that is killed just before it changes the disk for the nth time; whether it came so far."""

    def until_killed():
        changes = 0

        def count(event, arguments):
            nonlocal changes
            opened = event == "open" and isinstance(arguments[1], str) and arguments[1][:1] in "wxa"
            if opened or event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}:
                changes += 1
                if changes > number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()

    code = in_a_child(until_killed)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def save_without_joining(root, indices, layout=CAMERA):
    """Save episodes in a process that ends there."""
    writer = LeRobotWriter(root, layout)
    for index in indices:
        writer.write(episode(index, layout), LABELS)
    os._exit(0)
