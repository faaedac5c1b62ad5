"""Files of one episode in LeRobot's v3 format: its frames, its video, and the metadata that count it.

Schemas, statistics and metadata come from LeRobot's own functions. Only its writer is not used: that rewrites metadata
in place and closes its files at the end of a session.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.dataset.saving.column_statistics import as_floats, exact_statistics
from reachy_kit.dataset.saving.episode_video import image_stats, rgb_encoder
from reachy_kit.dataset.saving.lerobot_state import DATA, EPISODES, DatasetState, place_of
from reachy_kit.runtime.interface import Image
from reachy_kit.runtime.recording.redo_log import Change
from reachy_kit.runtime.recording.schema import AUDIO, OUR_COLUMNS, SEED, Frame
from reachy_kit.runtime.recording.video.take_video import TakeVideo, encode_images

type Columns = dict[str, Any]
"""Column → its values, (frames, ...)."""


def write_episode(
    change: Change, state: DatasetState, frames: list[Frame], task: str, video: TakeVideo | None = None
) -> DatasetState:
    """Write the files that add an episode to a dataset.

    Args:
        change: receives the files; the one that makes the others count is the last.
        state: of the dataset before.
        frames: of the episode.
        task: in words.
        video: of the frames' images, encoded already, in a file on the dataset's disk that is moved into it; None
            where the frames hold them.

    Returns:
        The state of the dataset with the episode.

    Raises:
        ValueError: a frame lacks a column, or has one of another type or shape.
        OSError: the disk is full or cannot be written.
    """
    from lerobot.datasets.compute_stats import aggregate_stats
    from lerobot.datasets.io_utils import cast_stats_to_numpy
    from lerobot.datasets.utils import DEFAULT_TASKS_PATH, STATS_PATH, serialize_dict
    from lerobot.utils.io_utils import write_json
    from lerobot.utils.utils import flatten_dict

    length, index, start = len(frames), state.info.total_episodes, state.info.total_frames
    tasks = _with_task(state.tasks, task)
    columns = _columns(frames, state.info.features) | {
        "timestamp": np.arange(length) / state.info.fps,
        "frame_index": np.arange(length),
        "episode_index": np.full(length, index),
        "index": np.arange(start, start + length),
        "task_index": np.full(length, tasks.loc[task].task_index),
    }
    info = replace(state.info, features={key: dict(feature) for key, feature in state.info.features.items()})
    row = {"episode_index": index, "tasks": [task], "length": length, **_numbers(state, DATA)}
    row |= {"dataset_from_index": start, "dataset_to_index": start + length}
    _write_data(change.add(place_of(DATA, state.next_files[DATA])), columns, info.features)
    thumbnails, of_videos = _write_videos(change, state, info, columns, length, video)
    row |= of_videos
    stats = _stats(columns, thumbnails, info.features)
    row |= flatten_dict({"stats": stats}) | _numbers(state, EPISODES)
    _write_row(change.add(place_of(EPISODES, state.next_files[EPISODES])), row)

    info.total_episodes, info.total_frames, info.total_tasks = index + 1, start + length, len(tasks)
    info.splits = {"train": f"0:{index + 1}"}
    stored_stats = serialize_dict(aggregate_stats([state.stats, stats]) if state.stats else stats)
    after = DatasetState(
        info=info,
        stats=cast_stats_to_numpy(stored_stats),  # as read back: a continued recording gives the same
        tasks=tasks,
        next_files={folder: state.next_number(folder) for folder in state.next_files},
        seeds=state.seeds | {int(frames[0][SEED][0])},
    )
    if tasks is not state.tasks:
        tasks.to_parquet(change.replace(DEFAULT_TASKS_PATH))
    write_json(stored_stats, change.replace(STATS_PATH))
    write_info(change, info)
    return after


def write_state(change: Change, state: DatasetState) -> None:
    """Write the files that count a dataset's episodes, as they were in an earlier state."""
    from lerobot.datasets.utils import DEFAULT_TASKS_PATH, STATS_PATH, serialize_dict
    from lerobot.utils.io_utils import write_json

    if state.tasks is not None:
        state.tasks.to_parquet(change.replace(DEFAULT_TASKS_PATH))
        write_json(serialize_dict(state.stats), change.replace(STATS_PATH))
    write_info(change, state.info)


def write_info(change: Change, info: Any) -> None:
    """Write the file that says how many episodes there are: the last of a change."""
    from lerobot.datasets.utils import INFO_PATH
    from lerobot.utils.io_utils import write_json

    write_json(info.to_dict(), change.replace(INFO_PATH))


def _columns(frames: list[Frame], features: dict[str, Any]) -> Columns:
    """Stack frames to columns, and check them against the dataset's."""
    columns: Columns = {}
    for key in (key for key in features if key in frames[0]):
        feature, values = features[key], np.stack([frame[key] for frame in frames])
        dtype = {"video": "uint8", "string": values.dtype}.get(feature["dtype"], feature["dtype"])
        if values.shape[1:] != tuple(feature["shape"]) or values.dtype != dtype:
            raise ValueError(f"{key} is not {dtype} of shape {tuple(feature['shape'])} in each frame")
        columns[key] = values.reshape(len(frames)) if tuple(feature["shape"]) == (1,) else values
    return columns


def _with_task(tasks: Any, task: str) -> Any:
    """The table of tasks with a task in it; the same table if it was there."""
    import pyarrow as pa

    if tasks is None:
        return pa.table({"task_index": [0], "task": [task]}).to_pandas().set_index("task")
    if task not in tasks.index:
        tasks = tasks.copy()
        tasks.loc[task] = len(tasks)
    return tasks


def _numbers(state: DatasetState, folder: str) -> dict[str, int]:
    chunk, file = state.next_files[folder]
    return {f"{folder}/chunk_index": chunk, f"{folder}/file_index": file}


def _write_data(path: Path, columns: Columns, features: dict[str, Any]) -> None:
    import pyarrow as pa
    from lerobot.datasets.feature_utils import get_hf_features_from_features

    schema = get_hf_features_from_features(features).arrow_schema
    arrays = []
    for column in schema:
        if pa.types.is_fixed_size_list(column.type):
            flat = pa.array(columns[column.name].reshape(-1), type=column.type.value_type)
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=column.type))
        else:
            arrays.append(pa.array(columns[column.name], type=column.type))
    write_parquet(path, [pa.Table.from_arrays(arrays, schema=schema)])


def _stats(columns: Columns, thumbnails: dict[str, list[Image]], features: dict[str, Any]) -> dict[str, Any]:
    """Statistics of the episode's columns and videos, in the order of the dataset's columns.

    LeRobot's own take 0.5 ms for each number of a frame. Nothing normalises with those of our columns.
    """
    from lerobot.datasets.compute_stats import compute_episode_stats

    measured = [key for key in features if features[key]["dtype"] not in ("video", "string") and key != AUDIO]
    ours = {key: columns[key].reshape(len(columns[key]), -1) for key in measured if key.startswith(OUR_COLUMNS)}
    numbers = compute_episode_stats({key: columns[key] for key in measured if key not in ours}, features)
    numbers |= {key: exact_statistics(values.astype(np.float64)) for key, values in ours.items()}
    # A text has no mean, and nothing learns from samples.
    described = [key for key in features if key != AUDIO and features[key]["dtype"] != "string"]
    return as_floats({key: image_stats(thumbnails[key]) if key in thumbnails else numbers[key] for key in described})


def _write_videos(
    change: Change, state: DatasetState, info: Any, columns: Columns, length: int, video: TakeVideo | None
) -> tuple[dict[str, list[Image]], dict[str, Any]]:
    """Write the video of each camera; returns its thumbnails, and the videos' part of the episode's row.

    Raises:
        ValueError: a video is not as long as the episode.
    """
    thumbnails: dict[str, list[Image]] = {}
    row: dict[str, Any] = {}
    for key in state.video_keys:
        path = change.add(place_of(f"videos/{key}", state.next_files[f"videos/{key}"]))
        encoded = _move(video, path) if video else encode_images(columns[key], path, info.fps)
        if encoded.frames != length:
            raise ValueError(f"the video has {encoded.frames} images, the episode {length} frames")
        thumbnails[key] = encoded.thumbnails
        row |= _describe_video(state, info, key, path)
    return thumbnails, row


def _move(video: TakeVideo, path: Path) -> TakeVideo:
    """Move a video into its place."""
    video.path.replace(path)
    return video


def _describe_video(state: DatasetState, info: Any, key: str, path: Path) -> dict[str, Any]:
    """The video's part of the episode's row; the first one of a dataset also fills its description."""
    from lerobot.datasets.video_utils import get_video_duration_in_s, get_video_info

    if not info.total_episodes:
        described = get_video_info(path, video_encoder=rgb_encoder())
        info.features[key]["info"] = {**(info.features[key].get("info") or {}), **described}
    folder = f"videos/{key}"
    times = {f"{folder}/from_timestamp": 0.0, f"{folder}/to_timestamp": get_video_duration_in_s(path)}
    return _numbers(state, folder) | times


def _write_row(path: Path, row: dict[str, Any]) -> None:
    import pyarrow as pa

    values = {key: [value.tolist() if isinstance(value, np.ndarray) else value] for key, value in row.items()}
    write_parquet(path, [pa.Table.from_pydict(values)])


def write_parquet(path: Path, tables: Iterable[Any]) -> None:
    """Write Arrow tables of one schema as LeRobot does, a row group for each.

    They are put together in memory: after an error on the disk, pyarrow's writer would try again while it is deleted.
    """
    import pyarrow as pa
    from pyarrow import parquet

    buffer, writer = pa.BufferOutputStream(), None
    for table in tables:
        if writer is None:
            writer = parquet.ParquetWriter(buffer, schema=table.schema, compression="snappy", use_dictionary=True)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    path.write_bytes(buffer.getvalue())
