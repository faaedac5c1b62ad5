"""Folder of a run before a training: what may be replaced, and what is resumed."""

import shutil
from collections.abc import Callable
from pathlib import Path

from reachy_kit.runtime.durable_files import check_folder, undo_broken_replacement
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.folder_contents import contents
from reachy_kit.runtime.shell_command import quote_argument
from reachy_policies.runs.run_files import MODEL, TRAINING, is_run, is_unfinished


def check_run_folder(out: Path) -> None:
    """Check that a folder may become a run; a run that a crash moved aside is brought back.

    Raises:
        RefusedError: the folder holds something that is not a run.
        WrongUseError: it cannot be written, or cannot be replaced.
        KitError: the disk is full.
    """
    if out.resolve().is_mount() or out.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise WrongUseError(
            f"--out {out} cannot be replaced as a whole, as a finished run is: it is a mounted disk, or this command "
            f"runs in it. Choose a folder in it: --out {quote_argument(out / 'run')}"
        )
    undo_broken_replacement(out)
    run = (is_run(out) and (out / MODEL).is_dir()) or (
        out.is_dir() and [path.name for path in contents(out)] == [TRAINING]
    )
    if out.is_file() or (out.exists() and contents(out) and not run):
        raise RefusedError(f"{out} holds something that is not a run, and would be replaced. Choose another --out")
    check_folder(out)


def prepare_run_folder(out: Path, *, fresh: bool, note: Callable[[str], None]) -> None:
    """Prepare the folder of a run for a training; a finished run stays until the new one is complete.

    Args:
        out: folder of the run.
        fresh: discard an unfinished training.
        note: receives a line where an unfinished training is resumed.

    Raises:
        RefusedError: the folder holds something that is not a run.
        WrongUseError: it cannot be written, or cannot be replaced.
        KitError: the disk is full.
    """
    check_run_folder(out)
    if fresh:
        shutil.rmtree(out / TRAINING, ignore_errors=True)
    elif is_unfinished(out):
        note(f"{out} holds an unfinished run; resuming it from its last checkpoint")
