"""Open a LeRobot dataset for reading. LeRobot is loaded when a dataset is opened, not before."""

from pathlib import Path
from typing import Any

from reachy_kit.dataset.committed_files import files_in_place
from reachy_kit.dataset.journal import undo_broken_save
from reachy_kit.runtime.errors import WrongUseError


def open_for_reading(root: Path) -> Any:
    """The LeRobotDataset at a folder, after undoing a save that was cut short.

    Raises:
        WrongUseError: LeRobot cannot read it.
        RefusedError: its files are being joined.
    """
    undo_broken_save(root)
    with files_in_place(root):
        return _open(root)


def _open(root: Path) -> Any:
    try:
        return lerobot_dataset()(f"local/{root.name}", root=root, video_backend="pyav")
    except Exception as error:  # LeRobot raises whatever its readers raise: pyarrow, JSON, pandas and its own
        raise WrongUseError(f"{root} cannot be read as a LeRobot dataset: {error}") from error


def lerobot_dataset() -> Any:
    """LeRobot's dataset class; loading it takes seconds."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset
