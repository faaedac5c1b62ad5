"""The folder that a dataset is recorded into: one recorder at a time, new or holding a dataset, nothing else."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from reachy_kit.dataset.committed_files import files_in_place
from reachy_kit.dataset.dataset_layout import read_dataset_layout
from reachy_kit.dataset.folder_locks import lock_holder, locked
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.folder_contents import contents
from reachy_kit.runtime.recording.redo_log import STAGING, close_staging


def check_recordable(root: Path) -> None:
    """Refuse a folder that cannot be recorded into, before anything is loaded or moves. It writes nothing.

    Raises:
        WrongUseError: it holds something else than a dataset of this kit, or is a file.
        RefusedError: another process records into it.
    """
    if root.exists():
        _require_folder(root)
        with _locked(root):
            if not is_new(root):
                read_dataset_layout(root)


@contextlib.contextmanager
def sole_recorder(root: Path) -> Iterator[None]:
    """Be the one recorder of a folder, which is made if it is missing; it disappears again if it stays empty.

    Raises:
        WrongUseError: it is a file.
        RefusedError: another process records into it.
        KitError: it cannot be made.
    """
    _require_folder(root)
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(f"{root} cannot be made: {error.strerror}. Choose another --out") from error
    try:
        with _locked(root):
            of_lock = root.stat()
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    if os.path.samestat(of_lock, root.stat()):  # not after an edit, whose new folder others may use
                        close_staging(root)
    finally:
        with contextlib.suppress(OSError):
            for folder in missing:
                folder.rmdir()


@contextlib.contextmanager
def not_recorded(root: Path) -> Iterator[None]:
    """Keep recorders away from a dataset while it is copied. It writes nothing.

    Raises:
        RefusedError: a process records into it, or was killed while it joined the files.
        KitError: there is no such folder.
    """
    with _locked(root, shared=True), files_in_place(root):
        yield


def is_new(root: Path) -> bool:
    """Whether a folder holds nothing but clutter, empty folders and what a first save left that was cut short."""
    return not any(path.name != STAGING.name and _has_file(path) for path in contents(root))


def _has_file(path: Path) -> bool:
    return not path.is_dir() or any(not inside.is_dir() for inside in path.rglob("*"))


def _require_folder(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise WrongUseError(f"{root} is a file; a dataset is a folder. Choose another --out")


@contextlib.contextmanager
def _locked(root: Path, *, shared: bool = False) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(root, shared=shared))
        except BlockingIOError as error:
            raise RefusedError(
                f"{root} is being recorded into by {lock_holder(root)}. Wait for its end, or choose another folder"
            ) from error
        except OSError as error:
            raise KitError(f"{root} cannot be opened: {error.strerror}. Choose another --out") from error
        yield
