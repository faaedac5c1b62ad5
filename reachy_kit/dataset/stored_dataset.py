"""A dataset on disk: its layout, its index, and the columns of its frames."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reachy_kit.dataset.dataset_index import (
    DamagedFileError,
    DatasetIndex,
    EpisodeEntry,
    column_values,
    read_index,
    read_table,
)
from reachy_kit.dataset.dataset_layout import layout_of
from reachy_kit.dataset.robot_columns import Numbers, RobotColumns, find_columns
from reachy_kit.runtime.recording.layout import LAYOUT_FILE, LEROBOT_INFO, DatasetLayout, read_layout
from reachy_kit.runtime.recording.schema import ACTION, OBS_ENV_STATE, OBS_LAST_ACTION, OBS_STATE

_EPISODE = "episode_index"


class StoredDataset:
    """A LeRobot v3 dataset of this robot, recorded by this kit or not. Its tables are read once, and stay in memory.

    Columns of the robot are found by the names of their numbers, and have this kit's order. Without a last action, that
    is the action of the step before; at an episode's start, where the robot stands.

    Args:
        root: its folder.
        camera: name or column of the head's camera; empty for the one called so, or the only one.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: its metadata is damaged, another version wrote it, or it is of another robot.
    """

    def __init__(self, root: Path, camera: str = "") -> None:
        self.root = root
        if not (root / LEROBOT_INFO).exists():
            read_layout(root)  # which says what is there instead
        stored = read_layout(root) if (root / LAYOUT_FILE).exists() else None
        self.index: DatasetIndex = read_index(root)
        self.columns: RobotColumns = find_columns(root, self.index.features, camera)
        self.layout: DatasetLayout = layout_of(self.index, self.columns, stored)
        self._read = cache(self._read_table)

    @property
    def episodes(self) -> tuple[EpisodeEntry, ...]:
        """What the metadata says about each episode."""
        return self.index.episodes

    @property
    def tables(self) -> list[Path]:
        """Files of the frames, relative to the folder, in the order of their first episodes."""
        return list(dict.fromkeys(entry.table for entry in self.episodes))

    def read(self, table: Path, *keys: str) -> dict[int, dict[str, npt.NDArray[Any]]]:
        """Read columns of a file of frames.

        Args:
            table: one of ``tables``.
            keys: of the columns; none for those of ``vectors``, as this robot has them.

        Returns:
            Episode → column → values, (frames, ...).

        Raises:
            DamagedFileError: it is missing or damaged, or lacks a column or frames.
        """
        return self._read(table, keys or tuple(self.vectors))

    def column(self, key: str) -> npt.NDArray[Any]:
        """A column of all frames, (F, ...), in the order of the episodes; of a dataset without any, (0, ...).

        Raises:
            DamagedFileError: a file is missing or damaged, or lacks the column or frames.
        """
        keys = () if key in self.vectors else (key,)
        parts = [self.read(entry.table, *keys)[entry.index][key] for entry in self.episodes]
        return np.concatenate(parts) if parts else np.empty((0, len(self.vectors.get(key, ())) or 1))

    @property
    def vectors(self) -> dict[str, tuple[str, ...]]:
        """Columns that hold several numbers of each frame: their keys, and the names of the numbers."""
        action, features = self.layout.action, self.layout.environment_state
        return {OBS_STATE: action, OBS_ENV_STATE: features, OBS_LAST_ACTION: action, ACTION: action}

    def has_column(self, key: str) -> bool:
        """Whether the tables hold a column."""
        return key in self.index.features

    def frame_episodes(self) -> npt.NDArray[np.int64]:
        """Episode of each frame, (F,)."""
        return np.repeat([entry.index for entry in self.episodes], [entry.length for entry in self.episodes])

    def _read_table(self, file: Path, keys: tuple[str, ...]) -> dict[int, dict[str, npt.NDArray[Any]]]:
        entries = [entry for entry in self.episodes if entry.table == file]
        held = [entry.index for entry in entries]
        sources = self._sources()
        raw = {part.key for key in keys if key in sources for part in sources[key]}
        raw |= {key for key in keys if key not in sources}
        table = read_table(self.root / file, [*sorted(raw), _EPISODE], held)
        columns = {key: column_values(table[key]) for key in raw}
        for part in (part for key in keys if key in sources for part in sources[key]):
            if columns[part.key].shape != (table.num_rows, part.width):
                reason = f"does not hold {part.width} numbers of {part.key} per frame"
                raise DamagedFileError(self.root / file, reason, held)
        episode_of_row = column_values(table[_EPISODE])
        episodes = {}
        for entry in entries:
            rows = np.flatnonzero(episode_of_row == entry.index)
            if len(rows) != entry.length:
                reason = f"has {len(rows)} of the {entry.length} frames of episode {entry.index}"
                raise DamagedFileError(self.root / file, reason, held)
            of_episode = {key: values[rows] for key, values in columns.items()}
            episodes[entry.index] = {key: self._values(key, of_episode, entry.length) for key in keys}
        return episodes

    def _sources(self) -> dict[str, tuple[Numbers, ...]]:
        """Numbers of the tables that each column of ``vectors`` is made of."""
        of_robot = self.columns
        last = of_robot.last_action
        return {
            OBS_STATE: (of_robot.state,),
            ACTION: (of_robot.action,),
            OBS_ENV_STATE: (of_robot.environment_state,) if of_robot.environment_state else (),
            OBS_LAST_ACTION: (last,) if last else (of_robot.state, of_robot.action),
        }

    def _values(self, key: str, columns: dict[str, npt.NDArray[Any]], length: int) -> npt.NDArray[Any]:
        """A column of an episode in this robot's order."""
        sources = self._sources()
        if key not in sources:
            return columns[key]
        parts = [columns[part.key][:, part.places] for part in sources[key]]
        if not parts:
            return np.zeros((length, 0), dtype=np.float32)
        if len(parts) == 1:
            return parts[0]
        state, action = parts
        return np.concatenate([state[:1].astype(action.dtype), action[:-1]])
