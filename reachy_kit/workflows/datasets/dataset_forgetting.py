"""Forgetting a person: afterwards a pseudonym is in no file of a dataset.

Try it: reachy-kit dataset forget owl data/look_at
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reachy_kit.dataset.care.edited_dataset import all_parts, write_edited
from reachy_kit.dataset.care.folder_swap import edited_in_place, other_files
from reachy_kit.dataset.care.pseudonyms import cached_copies, episodes_of, names, paths_naming, word_pattern
from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.recording.redo_log import STAGING
from reachy_kit.runtime.shell_command import compose_command
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter

ANONYMOUS = ""
"""Operator of an episode whose operator was forgotten."""
_FORGOTTEN = "(forgotten)"
"""In the place of the pseudonym in what a dataset says about its origin."""


@dataclass(frozen=True)
class ForgottenPerson:
    """What was done to a dataset."""

    dataset: Path
    episodes: int
    """Number of the person's episodes."""
    kept: bool
    """Whether they were kept without the pseudonym."""
    caches: int
    """Copies in caches of LeRobot's that were removed."""


def forget_person(
    pseudonym: str, roots: Sequence[Path], *, keep_episodes: bool = False, reporter: Reporter = SILENT
) -> list[ForgottenPerson]:
    """Remove a pseudonym from datasets, and copies of their tables from LeRobot's cache.

    Args:
        pseudonym: of the person.
        roots: folders of the datasets.
        keep_episodes: keep the person's episodes without a pseudonym; otherwise they are dropped.
        reporter: shows that it works, and notes what other programs may hold.

    Raises:
        WrongUseError: the pseudonym is empty, or all episodes of a dataset are the person's.
        RefusedError: a file of the user's or the words of a task hold the pseudonym, or the dataset is in use.
        KitError: the disk is full or cannot be written; the dataset is as it was.
    """
    if not pseudonym.strip():
        raise WrongUseError("the pseudonym is empty. Give the name that record --operator was given")
    done = [_forget(pseudonym, root, keep_episodes, reporter) for root in roots]
    copies = cached_copies(pseudonym)
    for path in copies:
        path.unlink(missing_ok=True)
    return [replace(each, caches=len(copies)) for each in done]


def _forget(pseudonym: str, root: Path, keep_episodes: bool, reporter: Reporter) -> ForgottenPerson:
    dataset = open_for_reading(root)
    theirs = episodes_of(dataset, pseudonym)
    _require_nothing_else(dataset, pseudonym)
    if theirs and not keep_episodes and len(theirs) == len(dataset.episodes):
        raise WrongUseError(
            f"all {len(theirs)} episodes of {root} are by {pseudonym}. Delete the folder, or keep them nameless: "
            + compose_command("dataset forget", pseudonym, root, keep_episodes=True)
        )
    leftovers = _leftovers(root)
    unfinished = any(folder.exists() for folder in (root / STAGING, *leftovers))  # their tables may be cut short
    if theirs or unfinished or paths_naming(root, pseudonym):
        with reporter.working("writing the new dataset (LeRobot takes a while to load)"):
            _rewrite(root, pseudonym, theirs, keep_episodes)
    for folder in leftovers:
        shutil.rmtree(folder, ignore_errors=True)
    for backup in sorted(root.resolve().parent.glob(f"{root.resolve().name}_old*")):
        if paths_naming(backup, pseudonym):
            reporter.note(f"warning: {backup} holds the name too, as LeRobot's edits leave a copy. Forget it there too")
    return ForgottenPerson(root, len(theirs), keep_episodes, 0)


def _rewrite(root: Path, pseudonym: str, theirs: Sequence[int], keep_episodes: bool) -> None:
    with edited_in_place(root) as making:
        shutil.rmtree(root / STAGING, ignore_errors=True)
        dataset = StoredDataset(root)
        parts = [
            replace(part, operator=ANONYMOUS) if part.entry.index in theirs else part
            for part in all_parts(dataset)
            if keep_episodes or part.entry.index not in theirs
        ]
        word = word_pattern(pseudonym)
        provenance = {key: word.sub(_FORGOTTEN, value) for key, value in dataset.layout.provenance.items()}
        write_edited(making, parts, provenance)
        if left := paths_naming(making, pseudonym):
            raise RefusedError(
                f"{root}: {left[0].relative_to(making)} would still name {pseudonym}. If it is in the words of a task, "
                "change them first: " + compose_command("dataset relabel", root, instruction="TEXT")
            )


def _require_nothing_else(dataset: StoredDataset, pseudonym: str) -> None:
    """Refuse a dataset beside whose own files others hold the pseudonym: they are not edited unasked."""
    for path in other_files(dataset.root):
        for inside in (path, *sorted(path.rglob("*"))):
            if names(inside, pseudonym):
                raise RefusedError(f"{inside} names {pseudonym}. Edit or delete it, then give the same command again")


def _leftovers(root: Path) -> list[Path]:
    """Folders that a killed edit may have left beside a dataset."""
    place = root.resolve()
    return [place.with_name(f".{place.name}.{ending}") for ending in ("editing", "old")]
