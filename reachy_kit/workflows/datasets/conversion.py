"""Conversion: episode files, LeRobot's older format and datasets of others become datasets as this kit records them.

Try it: reachy-kit dataset convert downloaded --task look_at --out data/look_at
"""

import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reachy_kit.dataset.care.folder_swap import require_free, require_space, size_of, written_elsewhere
from reachy_kit.dataset.care.video_cuts import read_part
from reachy_kit.dataset.dataset_index import EpisodeEntry, read_table
from reachy_kit.dataset.dataset_layout import require_task
from reachy_kit.dataset.episode_import import import_episodes
from reachy_kit.dataset.lerobot_features import lerobot_features
from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.dataset.reading import open_for_training, open_videos
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.interface import Image
from reachy_kit.runtime.recording.episode_files import EpisodeFiles
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.layout import COPY_AGAIN, LAYOUT_FILE, LEROBOT_INFO, DatasetLayout
from reachy_kit.runtime.recording.recorder import EpisodeSink
from reachy_kit.runtime.recording.schema import (
    ACTION,
    CAPTURE_TIME,
    IMAGE,
    IMAGE_TIME,
    INTERVENTION,
    OPERATOR,
    REQUESTED_ACTION,
    REWARD,
    SEED,
    SUCCESS,
    SUCCESS_MARK,
    Frame,
)
from reachy_kit.runtime.seeds import recording_seeds
from reachy_kit.runtime.tasks.task_registry import task_spec
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter

_OLD = "v2.1"
FOREIGN_SEED = 999_999
"""Run seed whose recording seeds the episodes of others get: ``record --seed`` of its own leaves them alone."""


@dataclass(frozen=True)
class ConvertedDataset:
    """A dataset after a conversion."""

    dataset: Path
    episodes: int
    source: str
    """What it was: episode files, LeRobot v2.1 or LeRobot v3."""


def convert_dataset(
    source: Path,
    out: Path,
    *,
    task: str = "",
    camera: str = "",
    to_files: bool = False,
    reporter: Reporter = SILENT,
) -> ConvertedDataset:
    """Convert a recording into a dataset as this kit records it, or into episode files.

    Columns get this kit's order and names. What others did not record is filled in: the requested action is the
    applied one, the capture time is the frame's, and no frame is an intervention. Other columns are left out.

    Args:
        source: folder of episode files, or of a LeRobot dataset of this robot, v3 or v2.1.
        out: folder of the new dataset; nothing is there yet.
        task: name or file of the task that it shows; empty for the one that it names.
        camera: name of the head's camera in it; empty for the one called so, or the only one.
        to_files: whether to write episode files instead of a LeRobot dataset.
        reporter: shows the progress.

    Raises:
        WrongUseError: the source is something else, or something is in the place of ``out``.
        RefusedError: it is of another robot, or damaged.
        KitError: the disk is full or cannot be written.
    """
    require_free(out)
    stored, info = (_read_json(source / name) for name in (LAYOUT_FILE, LEROBOT_INFO))
    if stored.get("storage") == "episode files":
        if to_files:
            raise WrongUseError(f"{source} holds episode files already")
        require_space(out, size_of(source))
        with reporter.working("importing the episode files"):
            return ConvertedDataset(out, import_episodes(source, out), "episode files")
    if info.get("codebase_version") == _OLD:
        if to_files:
            raise WrongUseError(f"{source} is in LeRobot's format {_OLD}. Convert it to {out} without --to-files first")
        with reporter.working("converting from v2.1"), written_elsewhere(out, [source]) as making:
            _to_v3(source, making)
        return ConvertedDataset(out, int(info.get("total_episodes", 0)), f"LeRobot {_OLD}")
    return _rewrite(source, out, task, camera, to_files, reporter)


def _rewrite(source: Path, out: Path, task: str, camera: str, to_files: bool, reporter: Reporter) -> ConvertedDataset:
    """Record the frames of a v3 dataset again."""
    dataset = open_for_training(source, camera)
    layout = require_task(source, dataset.layout, task_spec(task).name if task else "")
    layout = replace(layout, provenance={**layout.provenance, "converted by": f"reachy-kit {version('reachy-kit')}"})
    if layout.image_shape:
        open_videos(source, camera)
    require_space(out, size_of(source))
    sink: EpisodeSink
    if to_files:
        sink = EpisodeFiles(out, layout)
        _copy_episodes(dataset, sink, reporter)
    else:
        with LeRobotWriter(out, layout) as sink:
            _copy_episodes(dataset, sink, reporter)
    return ConvertedDataset(out, sink.episodes, "LeRobot v3")


def _copy_episodes(dataset: StoredDataset, sink: EpisodeSink, reporter: Reporter) -> None:
    with reporter.progress("converting", total=len(dataset.episodes)) as advance:
        for entry in dataset.episodes:
            frames = _frames(dataset, sink.layout, entry)
            operator, mark = str(frames[0][OPERATOR][0]), int(frames[0][SUCCESS_MARK][0])
            labels = EpisodeLabels(
                entry.instruction or sink.layout.instruction, operator, None if mark < 0 else bool(mark)
            )
            sink.write(frames, labels)
            advance()


def _frames(dataset: StoredDataset, layout: DatasetLayout, entry: EpisodeEntry) -> list[Frame]:
    """The frames of an episode with every column of a recording."""
    features = lerobot_features(layout)
    columns = dict(dataset.read(entry.table)[entry.index])
    for key in (key for key in features if key not in columns and key != IMAGE and dataset.has_column(key)):
        columns[key] = dataset.read(entry.table, key)[entry.index][key]
    times = np.arange(entry.length) / layout.policy_hz
    missing: dict[str, Any] = {
        REWARD: np.zeros(entry.length),
        SUCCESS: np.zeros(entry.length, dtype=bool),
        CAPTURE_TIME: times,
        IMAGE_TIME: times,
        SEED: np.full(entry.length, recording_seeds(FOREIGN_SEED)[entry.index]),
        REQUESTED_ACTION: columns[ACTION],
        INTERVENTION: np.zeros(entry.length, dtype=bool),
        OPERATOR: np.array([""] * entry.length),
        SUCCESS_MARK: np.full(entry.length, -1),
    }
    images = _images(dataset, entry) if IMAGE in features else []
    frames: list[Frame] = []
    for step in range(entry.length):
        frame: Frame = {}
        for key, feature in features.items():
            if key == IMAGE:
                frame[key] = images[step]
                continue
            value = np.asarray((columns[key] if key in columns else missing[key])[step]).reshape(
                tuple(feature["shape"])
            )
            frame[key] = value.astype(str) if feature["dtype"] == "string" else value.astype(feature["dtype"])
        frames.append(frame)
    return frames


def _images(dataset: StoredDataset, entry: EpisodeEntry) -> list[Image]:
    """Images of an episode, from its video or from single images."""
    camera = dataset.columns.camera
    assert camera is not None, "the layout has an image shape"
    if camera in entry.videos:
        part = entry.videos[camera]
        return read_part(dataset.root / part.file, part.begin, entry.length, dataset.index.fps)
    file = dataset.root / entry.table
    table = read_table(file, [camera, "episode_index"])
    rows = zip(table[camera].to_pylist(), table["episode_index"].to_pylist(), strict=True)
    return [_decode(row["bytes"], file, episode) for row, episode in rows if episode == entry.index]


def _decode(content: bytes, file: Path, episode: int) -> Image:
    image = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise RefusedError(f"{file} holds an image of episode {episode} that cannot be decoded. {COPY_AGAIN}")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _to_v3(source: Path, out: Path) -> None:
    """Convert from v2.1 with LeRobot's own functions, which need no network.

    Raises:
        RefusedError: a file is missing or damaged.
    """
    from lerobot.datasets.utils import DEFAULT_DATA_FILE_SIZE_IN_MB, DEFAULT_VIDEO_FILE_SIZE_IN_MB
    from lerobot.scripts import convert_dataset_v21_to_v30 as lerobot

    try:
        lerobot.convert_info(source, out, DEFAULT_DATA_FILE_SIZE_IN_MB, DEFAULT_VIDEO_FILE_SIZE_IN_MB)
        lerobot.convert_tasks(source, out)
        episodes = lerobot.convert_data(source, out, DEFAULT_DATA_FILE_SIZE_IN_MB)
        videos = lerobot.convert_videos(source, out, DEFAULT_VIDEO_FILE_SIZE_IN_MB)
        lerobot.convert_episodes_metadata(source, out, episodes, videos)
    except KitError:
        raise
    except Exception as error:  # LeRobot, pandas and pyarrow each raise their own
        raise RefusedError(
            f"{source} cannot be converted from {_OLD} ({type(error).__name__}: {error}). Copy it again from where it "
            "came from"
        ) from error


def _read_json(file: Path) -> dict[str, Any]:
    """A JSON object; empty if there is none, which opening the dataset says better."""
    try:
        stored = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}
