"""Fixes of findings that cost nothing of the data, through the redo log: each is carried out whole or not at all.

A module that registers a check may register its fix too. A fix that was cut short after its commit is completed by the
next one, or by the next recorder.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from reachy_kit.dataset.committed_files import METADATA
from reachy_kit.dataset.dataset_index import read_info
from reachy_kit.dataset.folder_locks import locked
from reachy_kit.dataset.recording_folder import sole_recorder
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_kit.runtime.interrupts import interrupts_held_back
from reachy_kit.runtime.recording.redo_log import Change, complete, open_staging, staged_change

type Fix = Callable[[Change, StoredDataset, str], None]
_registered: dict[str, Fix] = {}
_PATIENCE = 10.0
"""How long to wait for readers, s."""


def register_fix(number: str) -> Callable[[Fix], Fix]:
    """Decorate a fix of the findings with a number: it fills a change of the dataset's files."""

    def register(fix: Fix) -> Fix:
        _registered[number] = fix
        return fix

    return register


@contextlib.contextmanager
def mending(root: Path) -> Iterator[None]:
    """Be the one who changes a dataset. What was committed before and cut short is completed first.

    Raises:
        WrongUseError: there is not a dataset.
        RefusedError: another process records into it, or its metadata is damaged.
        KitError: it cannot be written.
    """
    read_info(root)
    try:
        with sole_recorder(root):
            complete(root)
            yield
    except OSError as error:
        raise KitError(f"{root} cannot be mended ({error.strerror or error}); it is as it was") from error


def apply_fixes(root: Path, numbers: Iterable[str], instruction: str = "") -> None:
    """Mend findings, one number after the other, inside ``mending``.

    Args:
        root: folder of the dataset.
        numbers: of the findings.
        instruction: words for what has none.

    Raises:
        RefusedError: a reader holds the files in place, or a file is damaged.
        OSError: the disk is full or cannot be written; the fixes before it are kept.
    """
    for number in sorted(set(numbers) & _registered.keys()):
        dataset = StoredDataset(root)
        open_staging(root)
        with staged_change(root) as change:
            _registered[number](change, dataset, instruction)
            try:
                with locked(root / METADATA, within=_PATIENCE), interrupts_held_back():
                    change.commit()
            except BlockingIOError as error:
                raise RefusedError(
                    f"{root}: another program is reading it. Wait for it to end, then try again"
                ) from error
