"""Layout of any LeRobot v3 dataset of this robot.

Columns, rate and words come from LeRobot's own files, which every tool keeps right. A file of our own beside them adds
what LeRobot does not know: the task's name, units and provenance. Where it is missing, as after LeRobot's edits or in
the datasets of others, the task is known by its words, or has to be given.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from reachy_kit.dataset.dataset_index import DatasetIndex, read_index, read_info
from reachy_kit.dataset.robot_columns import RobotColumns, find_columns, names_of
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.perception.features import feature_by_name
from reachy_kit.runtime.recording.layout import (
    LAYOUT_FILE,
    LEROBOT_INFO,
    DatasetLayout,
    describe_difference,
    read_layout,
)
from reachy_kit.runtime.recording.schema import AUDIO, SOUND
from reachy_kit.runtime.tasks.task_registry import known_tasks

UNKNOWN_UNIT = "unknown"


def read_dataset_layout(root: Path) -> DatasetLayout:
    """The layout of a LeRobot v3 dataset of this robot, recorded by this kit or not.

    Its task is empty where nothing tells it.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: it is in another format, of another robot, or damaged.
    """
    if not (root / LEROBOT_INFO).is_file():
        return read_layout(root)
    stored = read_layout(root) if (root / LAYOUT_FILE).exists() else None
    index = read_index(root)
    return layout_of(index, find_columns(root, index.features), stored)


def layout_of(index: DatasetIndex, columns: RobotColumns, stored: DatasetLayout | None) -> DatasetLayout:
    """Put together a layout.

    Args:
        index: of the dataset.
        columns: of the dataset.
        stored: the file of our own, if there is one; LeRobot's files win where they differ.
    """
    names = columns.environment_state.names if columns.environment_state else ()
    units = dict(zip(stored.environment_state, stored.environment_state_units, strict=False)) if stored else {}
    words = instructions(index)
    layout = DatasetLayout(
        task=stored.task if stored else _task_of(words),
        instruction=words[0] if words else stored.instruction if stored else "",
        environment_state=names,
        environment_state_units=tuple(units.get(name) or _unit(name) for name in names),
        policy_hz=index.fps,
        image_shape=columns.image_shape(index.features),
        sound=names_of(index.features.get(SOUND, {})),
        audio_samples=int(index.features[AUDIO]["shape"][0]) if AUDIO in index.features else 0,
    )
    if stored is None:
        return layout
    return replace(layout, task=stored.task, control_hz=stored.control_hz, provenance=stored.provenance)


def instructions(index: DatasetIndex) -> list[str]:
    """The words of a dataset's tasks, the most frequent first."""
    counted = Counter(entry.instruction for entry in index.episodes if entry.instruction)
    return [words for words, _ in counted.most_common()]


def require_recordable_layout(root: Path, layout: DatasetLayout) -> None:
    """Refuse a dataset that a recording of another layout would continue.

    Raises:
        WrongUseError: the folder holds something else than a dataset.
        RefusedError: the dataset has another layout; the message names the first difference.
    """
    stored = read_dataset_layout(root)
    if difference := describe_difference(stored if stored.task else replace(stored, task=layout.task), layout):
        raise RefusedError(f"{root} holds {difference}. Record into another folder with --out")


def restored_layout(root: Path, layout: DatasetLayout) -> DatasetLayout | None:
    """The layout to write into a dataset that is continued, where an edit by another tool has lost it or made it stale.

    Args:
        root: the dataset's folder.
        layout: of the recording that continues it.

    Returns:
        None where the file is as it should be.
    """
    if not (root / LAYOUT_FILE).exists():
        episodes = read_info(root)["total_episodes"]
        return replace(layout, provenance={**layout.provenance, "restored": f"not known before episode {episodes}"})
    stored = read_layout(root)
    if describe_difference(stored, read_dataset_layout(root)):
        return replace(layout, provenance=stored.provenance)
    return None


def require_task(root: Path, layout: DatasetLayout, task: str = "") -> DatasetLayout:
    """The layout with a task.

    Args:
        root: the dataset's folder, for messages.
        layout: of the dataset.
        task: name that was given; empty for the dataset's own.

    Raises:
        WrongUseError: it has no task, and none was given.
    """
    if task:
        return replace(layout, task=task)
    if not layout.task:
        says = f"its words are {layout.instruction!r}" if layout.instruction else "its episodes have no words"
        fitting = ", ".join(_fitting_tasks(layout.environment_state)) or "NAME"
        raise WrongUseError(
            f"{root} does not say which task of this kit it shows ({says}). Give it with --task: {fitting}, or FILE.py "
            "with a task of your own"
        )
    return layout


def _fitting_tasks(features: Iterable[str]) -> list[str]:
    given = set(features)
    return [spec.name for spec in known_tasks() if set(spec.features) <= given] or [spec.name for spec in known_tasks()]


def _task_of(words: Iterable[str]) -> str:
    """The task of this kit that has these words; empty if they are of none, or of several."""
    by_words: Mapping[str, str] = {spec.instruction: spec.name for spec in known_tasks()}
    tasks = {by_words.get(sentence, "") for sentence in words}
    return tasks.pop() if len(tasks) == 1 else ""


def _unit(name: str) -> str:
    try:
        return feature_by_name(name).unit
    except WrongUseError:
        return UNKNOWN_UNIT
