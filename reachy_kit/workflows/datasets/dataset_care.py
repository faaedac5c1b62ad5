"""Edits of recorded datasets: each leaves a whole new dataset, in the old one's place or elsewhere.

Try it: reachy-kit dataset drop data/look_at 3
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reachy_kit.dataset.care.edited_dataset import EpisodePart, all_parts, write_edited
from reachy_kit.dataset.care.folder_swap import edited_in_place, require_free, written_elsewhere
from reachy_kit.dataset.dataset_index import name_episodes
from reachy_kit.dataset.dataset_layout import UNKNOWN_UNIT
from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.recording.layout import describe_difference
from reachy_kit.runtime.recording.schema import SEED, SUCCESS_MARK
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter


@dataclass(frozen=True)
class EditedDataset:
    """A dataset after an edit."""

    dataset: Path
    episodes: int
    frames: int
    changed: tuple[int, ...] = ()
    """Indices of the episodes that were cut, dropped or labelled, as they were before."""


def drop_episodes(
    root: Path, episodes: Collection[int], out: Path | None = None, reporter: Reporter = SILENT
) -> EditedDataset:
    """Leave episodes out of a dataset; the others keep their seeds, and count from 0.

    Args:
        root: the dataset's folder.
        episodes: indices of those to leave out.
        out: where to write; None to put the new dataset in the place of the old one.
        reporter: shows that it works.

    Raises:
        WrongUseError: an index does not exist, or none would be left.
        RefusedError: the dataset is damaged, recorded into or read.
        KitError: the disk is full or cannot be written; the dataset is as it was.
    """

    def edit(dataset: StoredDataset) -> list[EpisodePart]:
        left_out = set(chosen_episodes(dataset, episodes))
        kept = [part for part in all_parts(dataset) if part.entry.index not in left_out]
        if not kept:
            raise WrongUseError(f"none of the {len(dataset.episodes)} episodes of {root} would be left. Keep one")
        return kept

    return edit_dataset(root, out, edit, sorted(episodes), reporter)


def relabel_episodes(
    root: Path,
    episodes: Collection[int] = (),
    *,
    instruction: str | None = None,
    success: bool | None = None,
    out: Path | None = None,
    reporter: Reporter = SILENT,
) -> EditedDataset:
    """Give episodes other words or another mark.

    Args:
        root: the dataset's folder.
        episodes: indices; none for all.
        instruction: the task in words.
        success: the operator's mark.
        out: where to write; None to put the new dataset in the place of the old one.
        reporter: shows that it works.

    Raises:
        WrongUseError: an index does not exist, nothing is given, or the dataset has no marks.
        RefusedError: the dataset is damaged, recorded into or read.
        KitError: the disk is full or cannot be written; the dataset is as it was.
    """
    if instruction is None and success is None:
        raise WrongUseError("nothing to change. Give --instruction TEXT, --success or --failure")
    if instruction is not None and not instruction.strip():
        raise WrongUseError("--instruction is empty. Say in words what the robot does")

    changed: list[int] = []

    def edit(dataset: StoredDataset) -> list[EpisodePart]:
        if success is not None and not dataset.has_column(SUCCESS_MARK):
            raise WrongUseError(f"{root} has no column {SUCCESS_MARK}: only recordings of this kit hold marks")
        chosen = chosen_episodes(dataset, episodes)
        changed.extend(chosen)
        return [
            replace(part, instruction=instruction, success=success) if part.entry.index in chosen else part
            for part in all_parts(dataset)
        ]

    return edit_dataset(root, out, edit, changed, reporter)


def merge_datasets(roots: Sequence[Path], out: Path, reporter: Reporter = SILENT) -> EditedDataset:
    """Put datasets of one task and the same columns one after the other; numbers take the first one's order.

    Of what they say about their origin, what is the same in all of them is kept.

    Args:
        roots: folders of two datasets or more.
        out: where to write.
        reporter: shows that it works, and notes episodes that are in several.

    Raises:
        WrongUseError: there is one only, or something is in the place of ``out``.
        RefusedError: they differ in task, rate, columns or units, or one is damaged or recorded into.
        KitError: the disk is full or cannot be written; nothing is left behind.
    """
    if len(roots) < 2:
        raise WrongUseError("merge needs two datasets or more")
    require_free(out)
    datasets = [open_for_reading(root) for root in roots]
    _require_same_meaning(datasets)
    _note_repeated_seeds(datasets, reporter)
    parts = [part for dataset in datasets for part in all_parts(dataset)]
    lines = [dataset.layout.provenance.items() for dataset in datasets]
    provenance = {key: value for key, value in lines[0] if all((key, value) in others for others in lines)}
    provenance["merged from"] = ", ".join(root.resolve().name for root in roots)
    with reporter.working("merging"), written_elsewhere(out, roots) as making:
        write_edited(making, parts, provenance)
    return _summary(out, parts)


def split_dataset(
    root: Path, shares: Mapping[str, float | Collection[int]], out: Path, reporter: Reporter = SILENT
) -> dict[str, EditedDataset]:
    """Split a dataset into several; it stays as it is.

    Args:
        root: the dataset's folder.
        shares: name of each part → its share of the episodes, or their indices.
        out: folder that will hold a dataset of each name.
        reporter: shows that it works.

    Raises:
        WrongUseError: shares overlap, are empty, or are more than the whole; or something is in the place of ``out``.
        RefusedError: the dataset is damaged or recorded into.
        KitError: the disk is full or cannot be written; nothing is left behind.
    """
    require_free(out)
    dataset = open_for_reading(root)
    chosen = _episodes_of_shares(dataset, shares)
    parts = {part.entry.index: part for part in all_parts(dataset)}
    with reporter.working("splitting"), written_elsewhere(out, [root]) as making:
        for name, episodes in chosen.items():
            (making / name).mkdir()
            write_edited(making / name, [parts[index] for index in episodes])
    return {name: _summary(out / name, [parts[index] for index in episodes]) for name, episodes in chosen.items()}


def read_episodes(text: str) -> tuple[int, ...]:
    """Indices in a text such as ``0,3,5-8``.

    Raises:
        WrongUseError: it is something else.
    """
    indices: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise WrongUseError(f"episodes are given as 3, 0,2,5 or 4-9, not as {text!r}")
        indices |= set(range(int(first), int(last if dash else first) + 1))
    return tuple(sorted(indices))


def edit_dataset(
    root: Path,
    out: Path | None,
    edit: Callable[[StoredDataset], list[EpisodePart]],
    changed: Iterable[int],
    reporter: Reporter,
) -> EditedDataset:
    """Write what an edit leaves of a dataset, in its place or elsewhere; the edit may add to what it ``changed``."""
    if out is not None:
        require_free(out)
    open_for_reading(root)
    opened = edited_in_place(root) if out is None else written_elsewhere(out, [root])
    with reporter.working("writing the new dataset (LeRobot takes a while to load)"), opened as making:
        parts = edit(StoredDataset(root))
        write_edited(making, parts)
    return replace(_summary(root if out is None else out, parts), changed=tuple(changed))


def _summary(root: Path, parts: Sequence[EpisodePart]) -> EditedDataset:
    return EditedDataset(root, len(parts), sum(part.length for part in parts))


def chosen_episodes(dataset: StoredDataset, episodes: Collection[int]) -> list[int]:
    """Indices that exist; all without any."""
    there = [entry.index for entry in dataset.episodes]
    if missing := sorted(set(episodes) - set(there)):
        held = f"its episodes are 0 to {len(there) - 1}" if there else "it holds no episode"
        raise WrongUseError(f"{dataset.root} has no {name_episodes(missing)}; {held}")
    return sorted(episodes) or there


def _episodes_of_shares(dataset: StoredDataset, shares: Mapping[str, float | Collection[int]]) -> dict[str, list[int]]:
    chosen: dict[str, list[int]] = {}
    total, begun = len(dataset.episodes), 0.0
    for name, share in shares.items():
        if not name or Path(name).name != name or name.startswith("."):
            raise WrongUseError(f"{name!r} is not a name for a folder. Give NAME=SHARE, as in train=0.8")
        if isinstance(share, float):
            episodes = list(range(round(begun * total), round(min(begun + share, 1.0) * total)))
            begun += share
        else:
            episodes = chosen_episodes(dataset, share)
        if not episodes:
            raise WrongUseError(f"{name} would get none of the {total} episodes of {dataset.root}. Give it more")
        if taken := sorted(set(episodes) & {index for others in chosen.values() for index in others}):
            raise WrongUseError(f"{name_episodes(taken)} would be in {name} and in another part. Give each once")
        chosen[name] = episodes
    if begun > 1 + 1e-9:
        raise WrongUseError(f"the shares add up to {begun:g}; they are parts of 1")
    return chosen


def _require_same_meaning(datasets: Sequence[StoredDataset]) -> None:
    """Refuse a dataset of another task, or with a feature in another unit, than the first one.

    Raises:
        RefusedError: there is one; the message says what differs.
    """
    first = datasets[0]
    for dataset in datasets[1:]:
        layout = dataset.layout
        units = dict(zip(layout.environment_state, layout.environment_state_units, strict=True))
        in_order = tuple(units.get(name, UNKNOWN_UNIT) for name in first.layout.environment_state)
        layout = replace(layout, environment_state_units=in_order)
        compared = "task", "environment_state_units"
        if difference := describe_difference(layout, first.layout, f"{first.root} has", compared):
            raise RefusedError(
                f"{dataset.root} has {difference}. Merge datasets of one task and the same units; dataset convert "
                "gives a dataset that names no task one with --task"
            )


def _note_repeated_seeds(datasets: Sequence[StoredDataset], reporter: Reporter) -> None:
    """Note episodes of one seed in several datasets: copies could be on both sides of the held-out split."""
    counted: dict[int, int] = {}
    for dataset in datasets:
        if dataset.has_column(SEED):
            for seed in {int(dataset.read(e.table, SEED)[e.index][SEED][0]) for e in dataset.episodes}:
                counted[seed] = counted.get(seed, 0) + 1
    if repeated := [seed for seed, count in counted.items() if count > 1]:
        reporter.note(
            f"warning: {len(repeated)} episode(s) have the same seed in several datasets. If they are copies, drop "
            "them: else an episode may be trained on and held out too"
        )
