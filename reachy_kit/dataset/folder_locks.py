"""Locks on a dataset's folder: one recorder at a time, and files that stay in place while a reader opens them.

They are advisory locks on the folders themselves: nothing is written, so they work on a read-only disk, and they vanish
with the process that holds them.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

_POLL = 0.01
"""Time between two attempts, s."""


@contextlib.contextmanager
def locked(folder: Path, *, shared: bool = False, within: float = 0.0) -> Iterator[None]:
    """Hold a lock on a folder.

    Args:
        folder: it exists.
        shared: whether others may hold a shared one too.
        within: how long to wait for it, s.

    Raises:
        BlockingIOError: another process, or another part of this one, holds it.
        OSError: the folder cannot be opened.
    """
    deadline = time.monotonic() + within
    while (handle := _locked_handle(folder, shared)) is None:
        if time.monotonic() >= deadline:
            raise BlockingIOError(f"{folder} is locked by {lock_holder(folder)}")
        time.sleep(_POLL)
    try:
        yield
    finally:
        os.close(handle)


def lock_holder(folder: Path) -> str:
    """Name the process that holds the lock on a folder, as far as Linux shows it."""
    inode = f":{folder.stat().st_ino}"
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            _, kind, _, _, pid, file, *_ = line.replace("->", "").split()
            if kind == "FLOCK" and file.endswith(inode) and int(pid) > 0:
                return f"process {pid}"
    return "another process"


def _locked_handle(folder: Path, shared: bool) -> int | None:
    """Handle of a folder that is locked; None if another holds its lock.

    An edit puts another folder in its place: a lock on the old one would not keep others from the new one,
    so that is opened instead.
    """
    while True:
        handle = os.open(folder, os.O_RDONLY)
        try:
            free = _lock(handle, shared)
            if free and os.path.samestat(os.fstat(handle), folder.stat()):
                return handle
        except OSError:
            os.close(handle)
            raise
        os.close(handle)
        if not free:
            return None


def _lock(handle: int, shared: bool) -> bool:
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a disk without locks, as some network disks are: the dataset stays usable
        return True
    return True
