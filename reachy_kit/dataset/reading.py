"""Open a recorded dataset for reading: its files are compared with its metadata first, and nothing is ever written.

Neither the network nor a cache is touched. LeRobot is loaded only where its own objects are asked for.
"""

from pathlib import Path
from typing import Any

from reachy_kit.dataset.checks.finding import Aspect, require_sound
from reachy_kit.dataset.committed_files import files_in_place
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.recording.schema import INTERVENTION

FOR_TRAINING = (Aspect.TABLES, Aspect.METADATA, Aspect.VALUES, Aspect.TIMING, Aspect.MOTION)
"""What any training asks for. One from images asks for videos too, one of LeRobot's policies for statistics."""


def open_for_reading(root: str | Path) -> StoredDataset:
    """Open a dataset for its frames, whatever their values; its videos may be missing.

    Raises:
        WrongUseError: the folder holds something else than a dataset.
        RefusedError: a file is missing or damaged, or the dataset's files are being joined.
    """
    return _open(Path(root), Aspect.TABLES)


def open_for_training(root: str | Path, camera: str = "") -> StoredDataset:
    """Open a dataset for its frames to learn from; its videos may be missing.

    Args:
        root: its folder.
        camera: name or column of the head's camera; empty for the one called so, or the only one.

    Raises:
        WrongUseError: the folder holds something else than a dataset.
        RefusedError: it is of another robot, a file is missing or damaged, frames are out of order, a task is lost, a
            value is implausible, the rate or the numbers are others than they are said to be, or the dataset's files
            are being joined.
    """
    return _open(Path(root), *FOR_TRAINING, camera=camera, also=(INTERVENTION,))


def open_videos(root: str | Path, camera: str = "") -> StoredDataset:
    """Open a dataset for its videos alone; arguments as in ``open_for_training``.

    Raises:
        WrongUseError: the folder holds something else than a dataset.
        RefusedError: a video is missing, damaged or short, or the dataset's files are being joined.
    """
    return _open(Path(root), Aspect.VIDEOS, camera=camera)


def open_lerobot_metadata(root: Path) -> Any:
    """LeRobot's metadata of a dataset: features, tasks and statistics, but not its list of episodes.

    LeRobot would copy that list into a cache, and ask the network for a file that is missing.

    Raises:
        RefusedError: a file is missing or damaged, or the statistics are not those of the frames.
    """
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
    from lerobot.datasets.io_utils import load_info, load_stats, load_tasks

    class Metadata(LeRobotDatasetMetadata):  # type: ignore[misc]
        def _load_metadata(self) -> None:
            self.info, self.tasks, self.episodes, self.stats = load_info(root), load_tasks(root), None, load_stats(root)

    with files_in_place(root):
        dataset = StoredDataset(root)  # what LeRobot says about a missing or damaged file helps less
        require_sound(dataset, Aspect.STATISTICS)
        return Metadata(f"local/{root.name}", root=root)


def _open(root: Path, *aspects: Aspect, camera: str = "", also: tuple[str, ...] = ()) -> StoredDataset:
    """Open a dataset; ``also`` are columns besides its vectors to read while its files are in place."""
    with files_in_place(root):
        dataset = StoredDataset(root, camera)
        require_sound(dataset, *aspects)
        for key in filter(dataset.has_column, also):
            dataset.column(key)  # it stays in memory
    return dataset
