"""Where a pseudonym stands: in the columns of tables, in texts, and in what other programs have copied."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reachy_kit.dataset.dataset_index import read_table
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.recording.schema import OPERATOR

_TEXTS = (".json", ".jsonl", ".md", ".txt", ".csv", ".toml", ".yaml", ".yml", ".html")
_LONG = 6
"""Letters from which on a pseudonym does not stand in compressed bytes by chance."""


def episodes_of(dataset: StoredDataset, pseudonym: str) -> list[int]:
    """Episodes that a person demonstrated, at least in part."""
    if not dataset.has_column(OPERATOR):
        return []
    return [
        entry.index
        for entry in dataset.episodes
        if pseudonym in set(dataset.read(entry.table, OPERATOR)[entry.index][OPERATOR].tolist())
    ]


def files_naming(folder: Path, pseudonym: str) -> list[Path]:
    """Files of a folder that hold a pseudonym: as a word in texts and tables, as bytes elsewhere."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and names(path, pseudonym)]


def names(file: Path, pseudonym: str) -> bool:
    """Whether a file holds a pseudonym."""
    word = re.compile(rf"(?<!\w){re.escape(pseudonym)}(?!\w)")
    if word.search(file.name):
        return True
    if file.suffix == ".parquet":
        return any(word.search(text) for text in _strings(file))
    if file.suffix in _TEXTS:
        return bool(word.search(file.read_text(errors="replace")))
    return len(pseudonym) >= _LONG and pseudonym.encode() in file.read_bytes()


def cached_copies(pseudonym: str) -> list[Path]:
    """Copies of tables that LeRobot's reader has left in its cache, and that hold a pseudonym."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets")
    found = []
    for path in sorted(cache.rglob("*.arrow")) if cache.is_dir() else ():
        content = path.read_bytes()
        if OPERATOR.encode() in content and pseudonym.encode() in content:
            found.append(path)
    return found


def _strings(file: Path) -> Iterator[str]:
    import pyarrow as pa

    table: Any = read_table(file)
    yield str(table.schema.metadata or "")
    for column in table.columns:
        flat = column.combine_chunks()
        while pa.types.is_nested(flat.type) and not pa.types.is_struct(flat.type):
            flat = flat.flatten()
        if pa.types.is_string(flat.type) or pa.types.is_large_string(flat.type):
            yield from (text for text in flat.unique().to_pylist() if text)
