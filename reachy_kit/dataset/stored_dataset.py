"""A dataset on disk: its layout, its index, and the columns of its frames."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reachy_kit.dataset.dataset_index import DamagedFileError, DatasetIndex, EpisodeEntry, read_index, read_table
from reachy_kit.runtime.recording.layout import DatasetLayout, read_layout
from reachy_kit.runtime.recording.schema import ACTION, OBS_ENV_STATE, OBS_LAST_ACTION, OBS_STATE

if TYPE_CHECKING:
    import pyarrow

_EPISODE = "episode_index"


class StoredDataset:
    """A dataset that this kit recorded. Its tables are read once, and stay in memory.

    Args:
        root: its folder.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: its metadata is damaged, or another version wrote it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout: DatasetLayout = read_layout(root)
        self.index: DatasetIndex = read_index(root)
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
            keys: of the columns; none for those of ``vectors``.

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

    def frame_episodes(self) -> npt.NDArray[np.int64]:
        """Episode of each frame, (F,)."""
        return np.repeat([entry.index for entry in self.episodes], [entry.length for entry in self.episodes])

    def _read_table(self, file: Path, keys: tuple[str, ...]) -> dict[int, dict[str, npt.NDArray[Any]]]:
        entries = [entry for entry in self.episodes if entry.table == file]
        held = [entry.index for entry in entries]
        table = read_table(self.root / file, [*keys, _EPISODE], held)
        columns = {key: _numbers(table[key]) for key in keys}
        for key, names in self.vectors.items():
            if key in columns and columns[key].shape != (table.num_rows, len(names)):
                raise DamagedFileError(self.root / file, f"does not hold {len(names)} numbers of {key} per frame", held)
        episode_of_row = _numbers(table[_EPISODE])
        episodes = {}
        for entry in entries:
            rows = np.flatnonzero(episode_of_row == entry.index)
            if len(rows) != entry.length:
                reason = f"has {len(rows)} of the {entry.length} frames of episode {entry.index}"
                raise DamagedFileError(self.root / file, reason, held)
            episodes[entry.index] = {key: values[rows] for key, values in columns.items()}
        return episodes


def _numbers(column: "pyarrow.ChunkedArray") -> npt.NDArray[Any]:
    """Values of a column: (rows,), or (rows, N) for lists of one length, else all of them in a row."""
    import pyarrow

    flat = column.combine_chunks()
    while pyarrow.types.is_nested(flat.type):
        flat = flat.flatten()
    numbers = np.asarray(flat.to_numpy(zero_copy_only=False))
    even = len(column) and pyarrow.types.is_nested(column.type) and len(numbers) % len(column) == 0
    return numbers.reshape(len(column), -1) if even else numbers
