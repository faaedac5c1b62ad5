"""A dataset that is edited: the new one is written beside it, and takes its place in one step.

Until that step the old dataset is untouched, after it the new one is whole: whenever the edit is killed, nothing is
lost. What a killed edit leaves beside the dataset, the next one removes.
"""

import contextlib
import ctypes
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from reachy_kit.dataset.committed_files import METADATA
from reachy_kit.dataset.dataset_index import read_info
from reachy_kit.dataset.folder_locks import lock_holder, locked
from reachy_kit.dataset.recording_folder import not_recorded, sole_recorder
from reachy_kit.runtime.durable_files import replace_folder, sync, undo_broken_replacement
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.folder_contents import contents
from reachy_kit.runtime.recording.redo_log import STAGING, close_staging, complete

_EXCHANGE = 2
"""Flag of ``renameat2`` that lets two names change places. Source: renameat2(2)."""
_CURRENT_FOLDER = -100
_SPARE = 64 * 1024**2
"""Bytes that are left free beside what an edit writes."""
_OWN_PARTS = ("data", "meta", "videos", STAGING.name)
"""Folders of a dataset that an edit writes itself; other files are carried along."""
_IMAGES = "images"
"""Folder in which LeRobot keeps images, by their column, until it has put them into tables or videos."""


@contextlib.contextmanager
def edited_in_place(root: Path) -> Iterator[Path]:
    """Yield an empty folder to write the edited dataset into; at the end it takes the dataset's place.

    The dataset's other files, such as notes and cards, are carried along.

    Args:
        root: the dataset's folder.

    Raises:
        RefusedError: a process records into the dataset or reads it.
        KitError: the disk is full or cannot be written; the dataset is as it was.
    """
    undo_broken_replacement(root)
    with sole_recorder(root), _unread(root):
        complete(root)
        close_staging(root)
        with _new_folder(root, [root]) as making:
            yield making
            for path in other_files(root):
                copy = making / path.relative_to(root)
                copy.parent.mkdir(exist_ok=True)
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, copy)
            _exchange(root.resolve(), making)


@contextlib.contextmanager
def written_elsewhere(out: Path, sources: Iterable[Path]) -> Iterator[Path]:
    """Yield an empty folder to write a dataset into; at the end it becomes ``out``.

    Args:
        out: where the dataset will be: nothing, or an empty folder.
        sources: datasets that it is made of, not recorded into meanwhile.

    Raises:
        WrongUseError: something is in its place.
        RefusedError: a process records into a source.
        KitError: the disk is full or cannot be written; nothing is left behind.
    """
    require_free(out)
    sources = list(sources)
    with contextlib.ExitStack() as stack:
        for source in dict.fromkeys(source.resolve() for source in sources):
            stack.enter_context(not_recorded(source))
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with _new_folder(out, sources) as making:
            yield making
            if out.is_dir() and not out.is_symlink():
                for clutter in out.iterdir():
                    clutter.unlink()
                out.rmdir()
            sync(*(path for path in making.rglob("*")), making)
            making.rename(out)
            sync(out.absolute().parent)


def other_files(root: Path) -> list[Path]:
    """Files and folders of a dataset that neither LeRobot nor this kit has written.

    Raises:
        RefusedError: its metadata is damaged.
    """
    of_lerobot = {key for key, feature in read_info(root)["features"].items() if feature["dtype"] in ("image", "video")}
    others = []
    for path in contents(root):
        if path.name == _IMAGES and path.is_dir():
            others += [inside for inside in contents(path) if inside.name not in of_lerobot]
        elif path.name not in _OWN_PARTS:
            others.append(path)
    return others


def require_free(out: Path, option: str = "--out") -> None:
    """Refuse a folder in which something is.

    Raises:
        WrongUseError: there is something.
    """
    if out.is_symlink() or out.is_file() or (out.is_dir() and contents(out)):
        raise WrongUseError(f"{option} {out} exists. Choose another folder")


def require_space(folder: Path, needed: int) -> None:
    """Refuse work for which the disk has no room.

    Args:
        folder: a folder on that disk.
        needed: bytes.

    Raises:
        KitError: there is too little.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed + _SPARE:
        raise KitError(
            f"{folder}: {(needed + _SPARE) / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free. Make room, or "
            "choose another disk with --out"
        )


def size_of(folder: Path) -> int:
    """Bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextlib.contextmanager
def _new_folder(beside: Path, sources: Iterable[Path]) -> Iterator[Path]:
    """An empty folder beside another one; it is gone at the end unless it was moved."""
    place = beside.resolve() if beside.exists() else beside.absolute()
    making = place.with_name(f".{place.name}.editing")
    shutil.rmtree(making, ignore_errors=True)  # of an edit that was killed
    require_space(place.parent, sum(map(size_of, sources)))
    try:
        making.mkdir()
        yield making
    except KitError:
        raise
    except OSError as error:
        raise KitError(
            f"{beside} could not be written ({error}). Nothing has changed; if the disk is full, make room"
        ) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


@contextlib.contextmanager
def _unread(root: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(root / METADATA))
        except BlockingIOError as error:
            holder = lock_holder(root / METADATA)
            raise RefusedError(f"{root} is being read by {holder}. Wait for its end, or write with --out") from error
        except OSError:
            pass  # without such a folder it is not a dataset, which reading it says better
        yield


def _exchange(root: Path, making: Path) -> None:
    """Let the new folder and the old one change places at once where the system can, else one after the other."""
    sync(*(path for path in making.rglob("*")), making)
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        if hasattr(library, "renameat2"):
            names = os.fsencode(making), os.fsencode(root)
            if library.renameat2(_CURRENT_FOLDER, names[0], _CURRENT_FOLDER, names[1], _EXCHANGE) == 0:
                sync(root.parent)
                return
    replace_folder(root, making)
