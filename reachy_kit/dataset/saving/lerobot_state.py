"""State of a LeRobot v3 dataset as its writer needs it: metadata, seeds, and where the next files belong."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reachy_kit.dataset.dataset_index import DamagedFileError, DatasetIndex, read_index, read_table
from reachy_kit.dataset.lerobot_features import lerobot_features
from reachy_kit.dataset.robot_columns import names_of
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.schema import ROBOT_TYPE, SEED

DATA, EPISODES = "data", "meta/episodes"
"""Folders of the numbered files with frames, and with a row for each episode."""
type Number = tuple[int, int]
"""Number of a file: chunk, file."""


@dataclass(frozen=True)
class DatasetState:
    """State after the last saved episode."""

    info: Any
    """LeRobot's ``DatasetInfo``."""
    stats: dict[str, Any] | None
    tasks: Any
    """LeRobot's table of tasks; None before the first episode."""
    next_files: dict[str, Number]
    """Number of the next file, by folder."""
    seeds: frozenset[int]
    """Seeds of the episodes."""

    @property
    def video_keys(self) -> list[str]:
        """Columns that are stored as videos."""
        return video_keys(self.info.features)

    def next_number(self, folder: str) -> Number:
        """Number after that of the next file of a folder."""
        from lerobot.datasets.utils import update_chunk_file_indices

        following: Number = update_chunk_file_indices(*self.next_files[folder], self.info.chunks_size)
        return following


def empty_state(layout: DatasetLayout) -> DatasetState:
    """State of a dataset without an episode."""
    from lerobot.datasets.dataset_metadata import CODEBASE_VERSION
    from lerobot.datasets.feature_utils import create_empty_dataset_info
    from lerobot.utils.constants import DEFAULT_FEATURES

    features = {**lerobot_features(layout), **DEFAULT_FEATURES}
    info = create_empty_dataset_info(
        CODEBASE_VERSION, layout.policy_hz, features, use_videos=True, robot_type=ROBOT_TYPE
    )
    state = DatasetState(info, None, None, {}, frozenset())
    return DatasetState(info, None, None, dict.fromkeys(numbered_folders(state.video_keys), (0, 0)), frozenset())


def load_state(root: Path, layout: DatasetLayout) -> DatasetState:
    """State of the dataset in a folder.

    Args:
        root: its folder.
        layout: what the writer adds.

    Raises:
        RefusedError: it has other columns, or a file is missing or damaged.
    """
    from lerobot.datasets.io_utils import load_info, load_stats, load_tasks

    info, empty = load_info(root), empty_state(layout)
    if other := sorted(set(info.features) ^ set(empty.info.features)):
        raise RefusedError(
            f"{root} and this recording differ in {', '.join(other)}. Record into another folder with --out"
        )
    for key, feature in empty.info.features.items():
        has, wants = names_of(info.features[key]), names_of(feature)
        if has != wants:
            raise RefusedError(
                f"{root} holds {key} as {', '.join(has)}; a recording writes {', '.join(wants)}. Record into another "
                "folder with --out"
            )
    if not info.total_episodes:
        return replace(empty, info=info)
    index = read_index(root)
    for entry in index.episodes:
        for part in entry.videos.values():
            if not (root / part.file).exists():
                raise DamagedFileError(root / part.file, "is missing", [entry.index])
    episodes = read_columns(root, EPISODES, ["episode_index", *number_columns(empty.video_keys)])
    if len(episodes) != info.total_episodes:
        raise RefusedError(
            f"{root} is damaged: meta/info.json counts {info.total_episodes} episodes, meta/episodes lists "
            f"{len(episodes)}. Record into another folder with --out"
        )
    return DatasetState(
        info=info,
        stats=load_stats(root),
        tasks=load_tasks(root),
        next_files={folder: _next_file(root, folder, episodes, info.chunks_size) for folder in empty.next_files},
        seeds=frozenset(_read_seeds(index)),
    )


def video_keys(features: dict[str, Any]) -> list[str]:
    """Columns that are stored as videos."""
    return [key for key, feature in features.items() if feature["dtype"] == "video"]


def numbered_folders(videos: list[str]) -> list[str]:
    """Folders with numbered files."""
    return [DATA, EPISODES, *(f"videos/{key}" for key in videos)]


def number_columns(videos: list[str]) -> list[str]:
    """Columns of an episode's row that number its files."""
    return [f"{folder}/{part}_index" for folder in numbered_folders(videos) for part in ("chunk", "file")]


def numbered_files(root: Path, folder: str) -> dict[Number, Path]:
    """Files of a folder in the order of their numbers."""
    files = {}
    for path in (root / folder).glob("chunk-*/file-*.*"):
        if match := re.fullmatch(r"chunk-(\d+)/file-(\d+)\.(parquet|mp4)", path.relative_to(root / folder).as_posix()):
            files[int(match[1]), int(match[2])] = path
    return dict(sorted(files.items()))


def place_of(folder: str, number: Number) -> str:
    """Path of a numbered file inside the dataset."""
    return f"{folder}/chunk-{number[0]:03d}/file-{number[1]:03d}.{'mp4' if folder.startswith('videos/') else 'parquet'}"


def read_columns(root: Path, folder: str, columns: list[str]) -> Any:
    """Columns of all Parquet files of a folder, as one Arrow table."""
    import pyarrow as pa
    from pyarrow import parquet

    return pa.concat_tables(
        parquet.read_table(path, columns=columns).replace_schema_metadata(None)
        for path in numbered_files(root, folder).values()
    )


def _read_seeds(index: DatasetIndex) -> set[int]:
    """Seeds of a dataset's episodes, from its frames: an edited dataset has no other place for them."""
    tables = dict.fromkeys(entry.table for entry in index.episodes)
    return {seed for table in tables for seed in read_table(index.root / table, [SEED])[SEED].unique().to_pylist()}


def _next_file(root: Path, folder: str, episodes: Any, chunks_size: int) -> Number:
    """Number after that of any file that is there or that an episode names."""
    from lerobot.datasets.utils import update_chunk_file_indices

    named = zip(*(episodes[f"{folder}/{part}_index"].to_pylist() for part in ("chunk", "file")), strict=True)
    following: Number = update_chunk_file_indices(*max([*named, *numbered_files(root, folder)]), chunks_size)
    return following
