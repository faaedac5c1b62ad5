"""RK106. Unlabelled tasks: episodes without words, or whose number of a task is not in the list."""

from collections.abc import Iterator

from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_file_check
from reachy_kit.dataset.checks.fixes import register_fix
from reachy_kit.dataset.checks.remedies import label_command
from reachy_kit.dataset.dataset_index import TASKS, DamagedFileError, read_table
from reachy_kit.dataset.saving.task_words import write_task_words
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.recording.redo_log import Change

_TASK = "task_index"
_PLACEHOLDERS = {"", "none", "null", "nan", "todo", "task", "n/a", "test", "unknown", "default"}
"""Words that say nothing about what is demonstrated."""


def is_unlabelled(words: str) -> bool:
    """Whether an instruction says nothing."""
    return words.strip().strip(".").lower() in _PLACEHOLDERS


@register_file_check("RK106", "unlabelled tasks", Aspect.METADATA, refuses=True)
def check_task_labels(dataset: StoredDataset) -> Iterator[Finding]:
    """Find episodes whose task is not said in words."""
    if not dataset.episodes:
        return
    silent = tuple(entry.index for entry in dataset.episodes if is_unlabelled(entry.instruction))
    if silent:
        yield Finding(
            f"{len(silent)} of {len(dataset.episodes)} episodes do not say in words what they show",
            Severity.WARNING,
            remedy="Say it",
            command=label_command(dataset.root),
            episodes=silent,
            fixable=True,
            needs_words=True,
        )
    known = set(read_table(dataset.root / TASKS, [_TASK])[_TASK].to_pylist())
    lost = []
    for file in dataset.tables:
        try:
            of_file = dataset.read(file, _TASK)
        except DamagedFileError:
            continue  # another finding's
        lost += [episode for episode, columns in of_file.items() if not set(columns[_TASK].ravel().tolist()) <= known]
    if lost:
        yield Finding(
            f"{TASKS} lacks the tasks of {len(lost)} episode{'s' if len(lost) > 1 else ''}, so LeRobot fails",
            remedy="Copy the file again from where the dataset came from",
            episodes=tuple(lost),
        )


@register_fix("RK106")
def fix_task_labels(change: Change, dataset: StoredDataset, instruction: str) -> None:
    """Give the episodes without words an instruction."""
    silent = [entry.index for entry in dataset.episodes if is_unlabelled(entry.instruction)]
    if instruction and silent:
        write_task_words(change, dataset, dict.fromkeys(silent, instruction))
