"""The journal of a save: what a folder held before it, so that a save that was cut short can be undone.

It lists the folder's files and holds copies of those in ``meta/``, which LeRobot rewrites in place; all other files are
only ever added. It appears and disappears by a rename: half a journal would undo half a save.
"""

import json
import shutil
from pathlib import Path

from reachy_kit.runtime.durable_files import sync

_JOURNAL = Path(".before_save")


def write_journal(root: Path) -> None:
    """Write down the state of a dataset before a save."""
    partial = root / f"{_JOURNAL}.making"
    shutil.rmtree(partial, ignore_errors=True)
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    (partial / "meta").mkdir(parents=True)
    for path in (root / "meta").iterdir():
        if path.is_file():
            shutil.copy2(path, partial / "meta" / path.name)
    (partial / "files.json").write_text(json.dumps(files))
    sync(*partial.rglob("*.*"))
    partial.rename(root / _JOURNAL)


def drop_journal(root: Path) -> None:
    """Delete the journal in one step: the save is complete."""
    gone = root / f"{_JOURNAL}.gone"
    shutil.rmtree(gone, ignore_errors=True)
    (root / _JOURNAL).rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def undo_broken_save(root: Path) -> bool:
    """Undo the last save of a dataset if it was cut short.

    Returns:
        Whether there was such a save.
    """
    if not restore(root):
        return False
    drop_journal(root)
    return True


def restore(root: Path) -> bool:
    """Restore a dataset's files from the journal, and keep the journal; returns whether there is one."""
    journal = root / _JOURNAL
    if not journal.is_dir():
        return False
    kept = set(json.loads((journal / "files.json").read_text()))
    for path in sorted(root.rglob("*"), reverse=True):
        inside = path.relative_to(root)
        if inside.parts[0].startswith(_JOURNAL.name):
            continue
        if path.is_file() and str(inside) not in kept:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for path in (journal / "meta").iterdir():
        shutil.copy2(path, root / "meta" / path.name)
    return True
