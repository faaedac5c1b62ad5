"""Folders and files that a crash leaves whole: the old one or the new one, never a half."""

import os
import shutil
from pathlib import Path


def sync(path: Path) -> None:
    """Have the disk keep a file, or a folder's list of files, before anything else happens."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_folder(path: Path, new: Path) -> None:
    """Put a folder, whole and on the disk, in the place of another one, if there is one.

    Args:
        path: where it belongs.
        new: where it was written, beside it.
    """
    old = _aside(path)
    for file in sorted(new.rglob("*")):
        sync(file)
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    new.rename(path)
    sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def undo_broken_replacement(path: Path) -> None:
    """Bring back a folder that a crash caught between its moving aside and the new one's moving in."""
    old = _aside(path)
    if old.is_dir() and not path.exists():
        old.rename(path)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")
