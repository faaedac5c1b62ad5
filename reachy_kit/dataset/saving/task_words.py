"""Words of a dataset's tasks: the list of them, the rows of the episodes, and the numbers in the frames agree."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.dataset.dataset_index import TASKS, read_table
from reachy_kit.dataset.saving.lerobot_episode import write_parquet
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.recording.layout import LEROBOT_INFO
from reachy_kit.runtime.recording.redo_log import Change

_INDEX, _EPISODE, _WORDS = "task_index", "episode_index", "tasks"


def write_task_words(change: Change, dataset: StoredDataset, words: Mapping[int, str]) -> None:
    """Write the files in which some episodes have other words.

    Tasks that no episode shows any more stay in the list: LeRobot finds a task by its place there.

    Args:
        change: receives the files.
        dataset: its tables are whole.
        words: instruction by the index of the episode.

    Raises:
        DamagedFileError: a file is missing or damaged.
    """
    numbers = _write_list(change, dataset.root, list(dict.fromkeys(words.values())))
    for path in sorted(dataset.root.glob("meta/episodes/*/*.parquet")):
        rows = read_table(path)
        old, indices = rows[_WORDS].to_pylist(), rows[_EPISODE].to_pylist()
        new = [[words[index]] if index in words else task for index, task in zip(indices, old, strict=True)]
        if new != old:
            write_parquet(change.replace(_place(dataset.root, path)), [_with(rows, _WORDS, new)])
    for file in dataset.tables:
        if any(entry.index in words for entry in dataset.episodes if entry.table == file):
            _write_numbers(change, dataset.root, file, {index: numbers[text] for index, text in words.items()})


def _write_list(change: Change, root: Path, words: list[str]) -> dict[str, int]:
    """Add words to the list of tasks; returns the number of each."""
    table = read_table(root / TASKS)
    key = next(name for name in table.schema.names if name != _INDEX)
    numbers = dict(zip(table[key].to_pylist(), table[_INDEX].to_pylist(), strict=True))
    missing = [text for text in words if text not in numbers]
    for text in missing:
        numbers[text] = max(numbers.values(), default=-1) + 1
    if missing:
        import pyarrow as pa

        listed = pa.table({_INDEX: list(numbers.values()), "task": list(numbers)}).to_pandas().set_index("task")
        listed.to_parquet(change.replace(TASKS.as_posix()))
        _write_count(change, root, len(numbers))
    return numbers


def _write_count(change: Change, root: Path, tasks: int) -> None:
    info: dict[str, Any] = json.loads((root / LEROBOT_INFO).read_bytes())
    info["total_tasks"] = tasks
    change.replace(LEROBOT_INFO.as_posix()).write_text(json.dumps(info, indent=4))


def _write_numbers(change: Change, root: Path, file: Path, numbers: Mapping[int, int]) -> None:
    """Write a table with other numbers of tasks, its row groups as they were."""
    from pyarrow import parquet

    groups = []
    with parquet.ParquetFile(root / file) as opened:
        for group in range(opened.num_row_groups):
            rows = opened.read_row_group(group)
            episodes, old = rows[_EPISODE].to_numpy(), rows[_INDEX].to_numpy()
            new = np.array([numbers.get(int(episode), task) for episode, task in zip(episodes, old, strict=True)])
            groups.append(_with(rows, _INDEX, new.tolist()))
    write_parquet(change.replace(file.as_posix()), groups)


def _with(rows: Any, key: str, values: list[Any]) -> Any:
    import pyarrow as pa

    column = rows.schema.get_field_index(key)
    return rows.set_column(column, rows.schema.field(key), pa.array(values, type=rows.schema.field(key).type))


def _place(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
