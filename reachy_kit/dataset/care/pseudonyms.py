"""Where a pseudonym stands: in the columns of tables, in texts, and in what other programs have copied."""

import json
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reachy_kit.dataset.dataset_index import read_table
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.recording.schema import OPERATOR

_VIDEOS = (".mp4", ".mkv", ".mov", ".avi", ".webm")
"""Files that are not searched: a short name stands in compressed images by chance."""


def episodes_of(dataset: StoredDataset, pseudonym: str) -> list[int]:
    """Episodes that a person demonstrated, at least in part."""
    if not dataset.has_column(OPERATOR):
        return []
    return [
        entry.index
        for entry in dataset.episodes
        if pseudonym in set(dataset.read(entry.table, OPERATOR)[entry.index][OPERATOR].tolist())
    ]


def paths_naming(folder: Path, pseudonym: str) -> list[Path]:
    """Files and folders in a folder that hold a pseudonym, in their names or inside; see ``names``.

    Raises:
        RefusedError: a table is damaged, or a file cannot be read.
    """
    return [path for path in sorted(folder.rglob("*")) if names(path, pseudonym)]


def names(path: Path, pseudonym: str) -> bool:
    """Whether a file or folder holds a pseudonym as a word, in its name or inside; a column of operators as its value.

    Raises:
        RefusedError: it is a table that is damaged, or cannot be read.
    """
    word = word_pattern(pseudonym)
    if word.search(path.name):
        return True
    if not path.is_file() or path.suffix.lower() in _VIDEOS:
        return False
    if path.suffix == ".parquet":
        return any(text == pseudonym if is_operator else word.search(text) for text, is_operator in _strings(path))
    return _has_bytes(path, pseudonym)


def word_pattern(pseudonym: str) -> re.Pattern[str]:
    """Pattern of a pseudonym that letters and digits end; an underscore does too, as in ``owl_notes``."""
    return re.compile(rf"(?<![^\W_]){re.escape(pseudonym)}(?![^\W_])")


def cached_copies(pseudonym: str) -> list[Path]:
    """Copies of tables that LeRobot's reader has left in its cache, and that hold a pseudonym."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets")
    files = []
    for path in sorted(cache.rglob("*.arrow")) if cache.is_dir() else ():
        content = path.read_bytes()
        if OPERATOR.encode() in content and pseudonym.encode() in content:
            files.append(path)
    return files


def _has_bytes(file: Path, pseudonym: str) -> bool:
    forms = {pseudonym.encode(), json.dumps(pseudonym)[1:-1].encode()}
    pattern = b"(?<![0-9A-Za-z])(?:" + b"|".join(map(re.escape, sorted(forms))) + b")(?![0-9A-Za-z])"
    try:
        with file.open("rb") as opened:
            if not os.fstat(opened.fileno()).st_size:
                return False
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return re.search(pattern, content) is not None
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {error.strerror}. Look at its permissions") from error


def _strings(file: Path) -> Iterator[tuple[str, bool]]:
    """Texts of a table, each with whether it is an operator's name."""
    import pyarrow as pa

    table: Any = read_table(file)
    yield str(table.schema.metadata or ""), False
    for name, column in zip(table.column_names, table.columns, strict=True):
        flat = column.combine_chunks()
        while pa.types.is_nested(flat.type) and not pa.types.is_struct(flat.type):
            flat = flat.flatten()
        if pa.types.is_string(flat.type) or pa.types.is_large_string(flat.type):
            yield from ((text, name == OPERATOR) for text in flat.unique().to_pylist() if text)
