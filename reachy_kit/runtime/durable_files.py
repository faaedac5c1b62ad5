"""Atomic writes: after a crash there is the old file or folder or the new one, never a part.

Whether an output can be written at all is checked before the work: before the robot moves, and before long trainings.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError

_FIRST_WRITE = 1 << 18
"""Bytes that a disk must hold for work to begin."""


def check_folder(path: Path, option: str = "--out") -> None:
    """Check that a folder can be made, or written where it exists. It leaves nothing behind.

    Args:
        path: the folder.
        option: of the command, for messages.

    Raises:
        WrongUseError: something else is in its place, or it cannot be written.
        KitError: the disk is full.
    """
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists() or folder.is_symlink())
    if there.is_symlink() and not there.exists():
        raise WrongUseError(f"{option} {path} cannot be made: {there} is a link to nothing. Choose another folder")
    if not there.is_dir():
        raise WrongUseError(f"{option} {path} cannot be made: {there} is a file. Choose another folder")
    _write_something(there, f"{option} {path}")


def check_file(path: Path, kind: str, is_one: Callable[[Path], bool], option: str = "--out") -> None:
    """Check that a file can be written, in the place of an earlier one of its kind at most.

    Args:
        path: the file; its folder exists.
        kind: what it is, in words.
        is_one: whether an existing file is of that kind.
        option: of the command, for messages.

    Raises:
        WrongUseError: it is a folder, or its folder does not exist or cannot be written.
        RefusedError: a file of another kind would be overwritten.
        KitError: the disk is full.
    """
    if path.is_dir():
        raise WrongUseError(f"{option} {path} is a folder. Give the name of a file")
    if path.exists() and not (path.is_file() and (path.stat().st_size == 0 or _holds(path, is_one))):
        raise RefusedError(f"{option} {path} exists and is not {kind}: it is not overwritten. Choose another name")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise WrongUseError(f"{option} {path}: there is no folder {folder}. Make it first")
    _write_something(folder, f"{option} {path}")


def _write_something(folder: Path, output: str) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(os.urandom(_FIRST_WRITE))  # a file system may keep zeros for nothing
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise KitError(f"{output} cannot be written ({error.strerror}). Make room") from error
        raise WrongUseError(f"{output} cannot be written ({error.strerror}). Choose another folder") from error


def _holds(path: Path, is_one: Callable[[Path], bool]) -> bool:
    try:
        return is_one(path)
    except OSError:
        return False


def begins_with(*starts: bytes, offset: int = 0) -> Callable[[Path], bool]:
    """A test of a file's first bytes, for ``check_file``."""

    def test(path: Path) -> bool:
        with path.open("rb") as file:
            return file.read(512)[offset:].startswith(starts)

    return test


def sync(*paths: Path) -> None:
    """Flush files, or folders' lists of files, to disk before anything else is written."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def replace_file(path: Path, new: Path) -> None:
    """Put a file, whole and on the disk, in the place of another one, if there is one.

    Args:
        path: where it belongs.
        new: where it was written, beside it.
    """
    sync(new)
    new.replace(path)
    sync(path.parent)


def replace_folder(path: Path, new: Path) -> None:
    """Replace a folder atomically by a new one, flushed to disk.

    Args:
        path: the folder to replace; it may be missing.
        new: the new folder, beside it.
    """
    path = path.resolve()  # through a link, which stays
    old = _aside(path)
    sync(*sorted(new.rglob("*")))
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    new.rename(path)
    sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def undo_broken_replacement(path: Path) -> None:
    """Bring back the old folder if a crash interrupted ``replace_folder``."""
    old = _aside(path)
    if old.is_dir() and not path.exists():
        old.rename(path)


def _aside(path: Path) -> Path:
    path = path.resolve()
    return path.with_name(f".{path.name}.old")
