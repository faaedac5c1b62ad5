"""Joining a dataset's small files at the end of a recording, up to the sizes that LeRobot allows for one file.

Each episode is saved in files of its own. They are joined through the redo log, in an order in which LeRobot, which
does not know of it, finds a valid dataset after each move: a joined file first takes the place of its first part, so
that what follows it is repeated, and ignored until it is removed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.dataset.committed_files import METADATA
from reachy_kit.dataset.folder_locks import locked
from reachy_kit.dataset.saving.episode_video import join_videos, video_kind
from reachy_kit.dataset.saving.lerobot_episode import write_parquet
from reachy_kit.dataset.saving.lerobot_state import (
    DATA,
    EPISODES,
    DatasetState,
    Number,
    numbered_files,
    numbered_folders,
    place_of,
)
from reachy_kit.runtime.interrupts import interrupts_held_back
from reachy_kit.runtime.recording.redo_log import Change, staged_change

_MB = 1024**2
_PATIENCE = 2.0
"""How long to wait for readers, s. If they take longer, the next recorder joins the files."""
type Group = list[Number]
"""Neighbouring files that become one, in order."""


def join_small_files(root: Path, state: DatasetState) -> bool:
    """Join neighbouring files of a dataset that fit into one.

    Args:
        root: the dataset's folder, which this process alone records into.
        state: of the dataset.

    Returns:
        Whether files were joined; they are not while a reader holds them in place.

    Raises:
        OSError: the disk is full or cannot be written; the dataset is as it was.
    """
    rows = _EpisodeRows(root)
    groups = {
        folder: _groups(root, folder, state.info, rows.files(folder, int(state.info.total_episodes)))
        for folder in numbered_folders(state.video_keys)
    }
    if not any(len(group) > 1 for of_folder in groups.values() for group in of_folder):
        return False
    with staged_change(root) as change:
        for folder in (f"videos/{key}" for key in state.video_keys):
            for group in filter(_is_joined, groups[folder]):
                starts = join_videos(_paths(root, folder, group), _staged(change, folder, group))
                rows.shift(folder, dict(zip(group, starts, strict=True)))
        for folder, of_folder in groups.items():
            rows.renumber(folder, of_folder)
        for group in groups[EPISODES]:
            if rows.changed(group):
                write_parquet(_staged(change, EPISODES, group), rows.tables(group))
        for group in filter(_is_joined, groups[DATA]):
            write_parquet(_staged(change, DATA, group), _row_groups(_paths(root, DATA, group)))
        try:
            with locked(root / METADATA, within=_PATIENCE), interrupts_held_back():
                change.commit()
        except BlockingIOError:
            return False
    return True


def _is_joined(group: Group) -> bool:
    return len(group) > 1


def _groups(root: Path, folder: str, info: Any, named: set[Number]) -> list[Group]:
    """Files of a folder, grouped to those that become one: of the same kind, together below the limit.

    A file that no episode names, as a copy made during a recording may bring along, stays as it is and ends a group.
    """
    video = folder.startswith("videos/")
    limit = (info.video_files_size_in_mb if video else info.data_files_size_in_mb) * _MB
    groups: list[Group] = []
    size, last = 0, Path()
    for number, path in numbered_files(root, folder).items():
        if number not in named:
            size = limit
            continue
        added = path.stat().st_size
        if groups and size + added < limit and _kind(last, video=video) == _kind(path, video=video):
            groups[-1].append(number)
            size += added
        else:
            groups.append([number])
            size = added
        last = path
    return groups


def _kind(path: Path, *, video: bool) -> Any:
    """Properties that files must share to be joined."""
    from pyarrow import parquet

    return video_kind(path) if video else parquet.read_schema(path).remove_metadata()


def _paths(root: Path, folder: str, group: Group) -> list[Path]:
    return [root / place_of(folder, number) for number in group]


def _staged(change: Change, folder: str, group: Group) -> Path:
    """Where to write what a group becomes."""
    for number in group[1:]:
        change.removed.append(place_of(folder, number))
    return change.replace(place_of(folder, group[0]))


def _row_groups(paths: Sequence[Path]) -> Iterator[Any]:
    """Tables of the row groups, an episode each, as LeRobot's readers want them."""
    from pyarrow import parquet

    for path in paths:
        with parquet.ParquetFile(path) as file:
            for index in range(file.num_row_groups):
                yield file.read_row_group(index)


class _EpisodeRows:
    """The rows of all episodes, to be corrected for files that are joined.

    Args:
        root: the dataset's folder.
    """

    def __init__(self, root: Path) -> None:
        from pyarrow import parquet

        self._before = {number: parquet.read_table(path) for number, path in numbered_files(root, EPISODES).items()}
        self._tables = dict(self._before)

    def files(self, folder: str, episodes: int) -> set[Number]:
        """Numbers of the files that the dataset's episodes name, counted by ``meta/info.json``."""
        return {
            number
            for table in self._before.values()
            for number, episode in zip(self._numbers(table, folder), table["episode_index"].to_pylist(), strict=True)
            if episode < episodes
        }

    def shift(self, folder: str, starts: dict[Number, float]) -> None:
        """Add the start of each joined video, s, to the times of the episodes in it."""
        for number, table in self._tables.items():
            added = np.array([starts.get(video, 0.0) for video in self._numbers(table, folder)])
            for name in (f"{folder}/from_timestamp", f"{folder}/to_timestamp"):
                self._set(number, name, table[name].to_numpy() + added)

    def renumber(self, folder: str, groups: list[Group]) -> None:
        """Let the episodes name the first file of a group instead of the others."""
        becomes = {number: group[0] for group in groups for number in group}
        for number, table in self._tables.items():
            numbers = [becomes.get(file, file) for file in self._numbers(table, folder)]
            for index, part in enumerate(("chunk", "file")):
                self._set(number, f"{folder}/{part}_index", [file[index] for file in numbers])

    def changed(self, group: Group) -> bool:
        """Whether a group's file is not what it was."""
        return len(group) > 1 or not self._tables[group[0]].equals(self._before[group[0]])

    def tables(self, group: Group) -> list[Any]:
        """The rows of a group, a table for each of its files."""
        return [self._tables[number] for number in group]

    def _numbers(self, table: Any, folder: str) -> list[Number]:
        return list(zip(*(table[f"{folder}/{part}_index"].to_pylist() for part in ("chunk", "file")), strict=True))

    def _set(self, number: Number, name: str, values: Any) -> None:
        import pyarrow as pa

        table = self._tables[number]
        column = table.schema.get_field_index(name)
        field = table.schema.field(column)
        self._tables[number] = table.set_column(column, field, pa.array(values, type=field.type))
