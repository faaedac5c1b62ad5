"""From a robot's episode files to a LeRobot dataset, with the same frames as if they had been recorded into it.

Try it: python -c "from reachy_kit.dataset.episode_import import *; print(import_episodes('files', 'data'))"
"""

from collections.abc import Iterable
from pathlib import Path

from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interrupts import interrupts_held_back
from reachy_kit.runtime.recording.episode_files import count_episodes, read_episode, read_labels, take_of, video_file
from reachy_kit.runtime.recording.layout import read_layout
from reachy_kit.runtime.recording.schema import IMAGE, OBS_STATE, SEED, Frame
from reachy_kit.runtime.recording.video.take_video import copy_video


def import_episodes(source: str | Path, root: str | Path) -> int:
    """Write a robot's episode files into a LeRobot dataset; an interrupted import is resumed.

    Args:
        source: folder of the episode files.
        root: folder of the dataset, new or holding the source's first episodes.

    Returns:
        How many episodes the dataset holds.

    Raises:
        WrongUseError: the source does not hold episode files.
        RefusedError: an episode is damaged, or the dataset holds other episodes.
        KitError: the disk is full or cannot be written; the episodes before are kept.
    """
    source, root = Path(source), Path(root)
    total = count_episodes(source)
    with LeRobotWriter(root, read_layout(source, "episode files")) as writer:
        if writer.episodes:
            _require_beginning(source, root, writer.episodes)
        for index in range(writer.episodes, total):
            _add(writer, source, index, read_episode(source, index))
    return writer.episodes


def append_episodes(source: Path, root: Path, indices: Iterable[int]) -> int:
    """Add episodes to a LeRobot dataset, in this order, without takes that were imported into it before.

    Args:
        source: folder of the episode files.
        root: folder of the dataset, new or of the same layout.
        indices: of the episodes.

    Returns:
        How many episodes the dataset holds.

    Raises:
        WrongUseError: the source does not hold episode files.
        RefusedError: an episode is damaged, or the dataset has another layout.
        KitError: the disk is full or cannot be written; the episodes before are kept.
    """
    with LeRobotWriter(root, read_layout(source, "episode files")) as writer:
        for index in indices:
            if take_of(source, index) not in writer.imported_takes:
                _add(writer, source, index, read_episode(source, index))
    return writer.episodes


def _add(writer: LeRobotWriter, source: Path, index: int, frames: list[Frame]) -> None:
    labels, stored = read_labels(source, index), video_file(source, index)
    video = copy_video(stored, [frame.pop(IMAGE) for frame in frames], writer.video_file) if stored else None
    with interrupts_held_back():
        writer.write(frames, labels, video, take_of(source, index))


def _require_beginning(source: Path, root: Path, episodes: int) -> None:
    """Refuse a dataset whose episodes are not the source's first ones."""
    dataset = open_for_reading(root)
    starts = [dataset.read(entry.table, SEED, OBS_STATE)[entry.index] for entry in dataset.episodes]
    ours = [(int(columns[SEED][0]), columns[OBS_STATE][0].tolist()) for columns in starts]
    firsts = [read_episode(source, index)[0] for index in range(min(episodes, count_episodes(source)))]
    theirs = [(int(first[SEED][0]), first[OBS_STATE].tolist()) for first in firsts]
    if ours != theirs:
        raise RefusedError(f"{root} holds other episodes than {source}. Import into another folder")
