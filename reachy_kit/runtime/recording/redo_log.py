"""The redo log of a recording: several files of a dataset, or of episode files, change together, or none does.

The new files are written into a folder beside the dataset's own and flushed to disk. One rename then commits them: it
puts a record into that folder which lists where each file belongs. Only after that do they move there, the file that
makes the others count last. What was cut short before the commit is dropped by the next recorder; what was cut short
after it is completed by the next recorder. A reader changes nothing: until the last move it has the files of before.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reachy_kit.runtime.durable_files import replace_file, sync
from reachy_kit.runtime.errors import RefusedError

STAGING = Path(".saving")
"""Folder of what is not yet in its place, inside the dataset's."""
TAKE_VIDEO = STAGING / "take.mp4"
"""Place of the video of a take that is not over; nothing of it counts."""
_RECORD = STAGING / "commit.json"
_PARTIAL = STAGING / "partial.json"
_LEFT_OVER = (_PARTIAL.name, TAKE_VIDEO.name)
_STAGED = re.compile(r"\d+\.(json|parquet|mp4)")
_NUMBERED = r"(data|meta/episodes|videos/[^/]+)/chunk-\d+/file-\d+\.(parquet|mp4)"
_EPISODE_FILE = r"episodes/\d+/\w+\.(json|parquet|mp4)"
_PLACE = re.compile(rf"meta/\w+\.(json|parquet)|{_NUMBERED}|{_EPISODE_FILE}")


@dataclass
class Change:
    """Files that are added to a dataset or replaced together, and files that are removed after that."""

    root: Path
    moves: list[tuple[str, str]] = field(default_factory=list)
    """Name in the staging folder and place in the dataset, in the order of the moves."""
    removed: list[str] = field(default_factory=list)
    """Places in the dataset."""

    def add(self, place: str) -> Path:
        """Where to write a file that is new to the dataset.

        Raises:
            FileExistsError: there is such a file.
        """
        if (self.root / place).exists():
            raise FileExistsError(f"{self.root / place} exists already")
        return self.replace(place)

    def replace(self, place: str) -> Path:
        """Where to write a file that takes the place of another one, if there is one."""
        name = f"{len(self.moves)}{Path(place).suffix}"
        self.moves.append((name, place))
        return self.root / STAGING / name

    def commit(self) -> None:
        """Make the change durable, then carry it out.

        Raises:
            OSError: the disk is full or cannot be written. If there is a record by then, the next recorder completes
                the change; otherwise nothing has changed.
        """
        if _has_record(self.root):
            raise OSError("the change before this one is not complete")
        for folder in {(self.root / place).parent for _, place in self.moves}:
            _make_folder(folder)
        sync(*(self.root / STAGING / name for name, _ in self.moves))
        (self.root / _PARTIAL).write_text(json.dumps({"moves": self.moves, "removed": self.removed}))
        replace_file(self.root / _RECORD, self.root / _PARTIAL)
        complete(self.root)


def open_staging(root: Path) -> None:
    """Prepare a dataset's folder for changes: complete what was committed, drop what was not.

    Args:
        root: this process alone records into it.
    """
    complete(root)
    close_staging(root)
    (root / STAGING).mkdir(exist_ok=True)
    sync(root)


def close_staging(root: Path) -> None:
    """Remove the staging folder, unless it holds a change that was committed and not completed, or files of others."""
    if not (root / STAGING).is_dir() or _has_record(root):
        return
    for path in (root / STAGING).iterdir():
        if path.name in _LEFT_OVER or _STAGED.fullmatch(path.name):
            path.unlink()
    with contextlib.suppress(OSError):
        (root / STAGING).rmdir()


@contextlib.contextmanager
def staged_change(root: Path) -> Iterator[Change]:
    """A change of a dataset, to be filled and committed; at the end, what was not committed is dropped."""
    change = Change(root)
    try:
        yield change
    finally:
        if not _has_record(root):
            for name, _ in change.moves:
                with contextlib.suppress(OSError):
                    (root / STAGING / name).unlink(missing_ok=True)


def complete(root: Path) -> None:
    """Carry out what is left of a committed change, if there is one.

    Raises:
        RefusedError: the record is damaged.
        OSError: the disk cannot be written.
    """
    if not _has_record(root):
        return
    change = _read(root)
    for name, place in change.moves:
        if (root / STAGING / name).exists():
            (root / STAGING / name).replace(root / place)
    for place in change.removed:
        (root / place).unlink(missing_ok=True)
    places = [*(place for _, place in change.moves), *change.removed]
    sync(*sorted({(root / place).parent for place in places}))
    (root / _RECORD).unlink()
    sync(root / STAGING)


def is_numbered(place: str) -> bool:
    """Whether a place in a dataset is that of a numbered file: frames, rows of episodes, a video."""
    return re.fullmatch(_NUMBERED, place) is not None


def removes_files(root: Path) -> bool:
    """Whether there is a change that was not completed and removes files: a reader may meet half of it."""
    try:
        return _has_record(root) and bool(_read(root).removed)
    except FileNotFoundError:  # a recorder has completed it meanwhile
        return False


def _has_record(root: Path) -> bool:
    return (root / _RECORD).is_file()


def _read(root: Path) -> Change:
    """The committed change; it touches nothing but a dataset's own files, whatever the record says."""
    try:
        record = json.loads((root / _RECORD).read_text())
        change = Change(root, [(name, place) for name, place in record["moves"]], list(record["removed"]))
        if not all(_STAGED.fullmatch(name) and _PLACE.fullmatch(place) for name, place in change.moves):
            raise ValueError("it moves files that are not a dataset's")
        if not all(is_numbered(place) or re.fullmatch(_EPISODE_FILE, place) for place in change.removed):
            raise ValueError("it removes files that are not a dataset's")
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(
            f"{root / _RECORD} is damaged ({error}). Delete it to keep the episodes that were saved before"
        ) from error
    return change


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, flushed to disk."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir()
        sync(folder.parent)
