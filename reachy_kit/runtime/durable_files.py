"""Atomic writes: after a crash there is the old file or folder or the new one, never a part."""

import os
import shutil
from pathlib import Path


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
    return path.with_name(f".{path.name}.old")
