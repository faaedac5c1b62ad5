"""The redo log of a dataset: several files change together, or none does.

The new files are written into a folder beside the dataset's own and flushed to disk. One rename then commits them: it
puts a record into that folder which lists where each file belongs. Only after that do they move there, the file that
makes the others count last. What was cut short before the commit is dropped by the next writer; what was cut short
after it is completed by the next writer. A reader changes nothing: until the last move it has the files of before.
"""

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reachy_kit.runtime.durable_files import replace_file, sync
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interrupts import interrupts_held_back

STAGING = Path(".saving")
"""Folder of what is not yet in its place, inside the dataset's."""
_RECORD = "commit.json"
_NUMBERED = r"chunk-\d+/file-\d+\.(parquet|mp4)"
_REMOVABLE = re.compile(rf"(data|meta/episodes|videos/[^/]+)/{_NUMBERED}")
_REPLACEABLE = re.compile(rf"meta/[^/]+\.(json|parquet)|{_REMOVABLE.pattern}")


@dataclass
class Change:
    """Files that appear in a dataset together, and files that disappear with them."""

    root: Path
    moves: list[tuple[str, str]] = field(default_factory=list)
    """Name in the staging folder, and place in the dataset; in the order of the moves."""
    removed: list[str] = field(default_factory=list)

    def new_file(self, place: str) -> Path:
        """Where to write a file that is added to the dataset.

        Raises:
            FileExistsError: there is such a file.
        """
        if (self.root / place).exists():
            raise FileExistsError(f"{self.root / place} exists already")
        return self.file(place)

    def file(self, place: str) -> Path:
        """Where to write a file that is added to the dataset, or replaces one of its files."""
        name = f"{len(self.moves)}{Path(place).suffix}"
        self.moves.append((name, place))
        return self.root / STAGING / name

    def remove(self, place: str) -> None:
        """Remove a file of the dataset once the others are in their places."""
        self.removed.append(place)

    def commit(self) -> None:
        """Make the change durable and carry it out.

        Raises:
            OSError: the disk is full or cannot be written. Before the record is in place nothing has changed; after it,
                the next writer completes the change.
        """
        for folder in {(self.root / place).parent for _, place in self.moves}:
            _make_folder(folder)
        staging = self.root / STAGING
        sync(*(staging / name for name, _ in self.moves))
        partial = staging / f"{_RECORD}.partial"
        partial.write_text(json.dumps({"moves": self.moves, "removed": self.removed}))
        with interrupts_held_back():
            replace_file(staging / _RECORD, partial)
            complete(self.root)


@contextlib.contextmanager
def staged(root: Path) -> Iterator[Change]:
    """A change of a dataset, to be filled and committed; what is not committed at the end is dropped.

    Args:
        root: the dataset's folder, which this process alone records into.
    """
    (root / STAGING).mkdir(exist_ok=True)
    change = Change(root)
    try:
        yield change
    finally:
        if not has_record(root):
            with contextlib.suppress(OSError):
                drop(root)


def has_record(root: Path) -> bool:
    """Whether a dataset has a change that was committed, but not completed."""
    return (root / STAGING / _RECORD).is_file()


def removes_files(root: Path) -> bool:
    """Whether the change that was not completed removes files, so that a reader may meet half of it."""
    return has_record(root) and bool(_read(root).removed)


def complete(root: Path) -> None:
    """Carry out what is left of a committed change, if there is one.

    Raises:
        RefusedError: the record is damaged.
        OSError: the disk cannot be written.
    """
    if not has_record(root):
        return
    change, staging = _read(root), root / STAGING
    folders = {root / place for place in change.removed} | {root / place for _, place in change.moves}
    for name, place in change.moves:
        if (staging / name).exists():
            (staging / name).replace(root / place)
    for place in change.removed:
        (root / place).unlink(missing_ok=True)
    sync(*sorted({path.parent for path in folders}))
    (staging / _RECORD).unlink()
    sync(staging)


def drop(root: Path) -> None:
    """Delete what is staged and was not committed."""
    if (root / STAGING).is_dir():
        shutil.rmtree(root / STAGING)


def _read(root: Path) -> Change:
    path = root / STAGING / _RECORD
    try:
        record = json.loads(path.read_text())
        change = Change(root, [(str(name), str(place)) for name, place in record["moves"]], list(record["removed"]))
        if not all(re.fullmatch(r"\d+\.\w+", name) and _REPLACEABLE.fullmatch(place) for name, place in change.moves):
            raise ValueError("it moves other files than a dataset's")
        if not all(_REMOVABLE.fullmatch(place) for place in change.removed):
            raise ValueError("it removes other files than a dataset's")
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"{path} is damaged ({error}). Delete it to keep the episodes saved before") from error
    return change


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, flushed to disk."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir()
        sync(folder.parent)
