"""Episodes as plain files, for the robot's own computer, which has no LeRobot.

::

    meta/reachy_kit.json            the layout
    episodes/000000/episode.json    number of frames, seed
    episodes/000000/columns.npz     every column but the images, (frames, ...)
    episodes/000000/images/000000.png

An episode is written beside its place and appears there by a rename: what is in ``episodes`` under a number is whole.
`reachy_kit.dataset.episode_import` makes a LeRobot dataset of them.
"""

import json
import shutil
import zipfile
from dataclasses import asdict, fields
from pathlib import Path

import cv2
import numpy as np

from reachy_kit.runtime.durable_files import sync
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.folder_contents import is_clutter
from reachy_kit.runtime.interface import Image
from reachy_kit.runtime.json_record import mistyped_fields
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.layout import DatasetLayout, require_layout, write_layout
from reachy_kit.runtime.recording.schema import IMAGE, SEED, Frame

_PARTIAL = ".partial"


class EpisodeFiles:
    """A recorder's sink: plain files, durable against power loss as soon as ``write`` returns.

    Args:
        root: folder, new or holding episodes of the same layout.
        layout: what to record.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: the folder holds episodes of another layout, or lacks one.
    """

    def __init__(self, root: Path, layout: DatasetLayout) -> None:
        self.root, self.layout = root, layout
        if root.is_file():
            raise WrongUseError(f"{root} is a file; episodes need a folder. Choose another --out")
        if _is_empty(root):
            write_layout(root, layout, "episode files")
            sync(root)
        else:
            require_layout(root, layout, "episode files")
            for partial in root.glob(f"episodes/*{_PARTIAL}"):
                shutil.rmtree(partial)
        self._episodes = count_episodes(root)

    @property
    def episodes(self) -> int:
        """Episodes safely on disk."""
        return self._episodes

    def write(self, frames: list[Frame], labels: EpisodeLabels) -> None:
        """Store an episode completely or not at all.

        Raises:
            KitError: the disk is full or cannot be written; the episodes before are kept.
        """
        place = _folder(self.root, self._episodes)
        partial = place.with_name(place.name + _PARTIAL)
        try:
            shutil.rmtree(partial, ignore_errors=True)
            _write_files(partial, frames, labels)
            partial.rename(place)
            sync(place.parent)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise KitError(
                f"{self.root}: the episode could not be written ({error}). The {self._episodes} episodes before it "
                "are kept; if the disk is full, make room, and give the same command again to continue"
            ) from error
        self._episodes += 1


def count_episodes(root: Path) -> int:
    """Episodes in a folder of episode files.

    Raises:
        RefusedError: one of them is missing.
    """
    numbers = sorted(int(path.name) for path in root.glob("episodes/*") if path.name.isdecimal())
    if numbers != list(range(len(numbers))):
        missing = min(set(range(numbers[-1])) - set(numbers))
        raise RefusedError(f"{root} lacks episode {missing}. Copy the whole folder again from the robot")
    return len(numbers)


def read_episode(root: Path, index: int) -> list[Frame]:
    """The frames of an episode, as `EpisodeFiles.write` received them.

    Args:
        root: folder of the episodes.
        index: from 0.

    Raises:
        RefusedError: a file is missing or damaged.
    """
    folder = _folder(root, index)
    try:
        count = json.loads((folder / "episode.json").read_text())["frames"]
        with np.load(folder / "columns.npz", allow_pickle=False) as stored:
            columns = {name: stored[name] for name in stored.files}
        images = sorted(folder.glob("images/*.png"))
        if any(len(rows) != count for rows in columns.values()) or (images and len(images) != count):
            raise ValueError(f"not every column has {count} frames")
        frames = [{name: rows[frame] for name, rows in columns.items()} for frame in range(count)]
        for frame, path in zip(frames, images, strict=False):
            frame[IMAGE] = _decode(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise RefusedError(f"{folder} is damaged ({error}). Copy it again from the robot") from error
    return frames


def read_labels(root: Path, index: int) -> EpisodeLabels:
    """The labels of an episode, as `EpisodeFiles.write` received them.

    Args:
        root: folder of the episodes.
        index: from 0.

    Raises:
        RefusedError: the file is missing or damaged.
    """
    folder = _folder(root, index)
    try:
        stored = json.loads((folder / "episode.json").read_text())
        labels = EpisodeLabels(**{field.name: stored[field.name] for field in fields(EpisodeLabels)})
        if mistyped_fields(labels):
            raise ValueError("a label has another type")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"{folder} is damaged ({error}). Copy it again from the robot") from error
    return labels


def _folder(root: Path, index: int) -> Path:
    return root / "episodes" / f"{index:06d}"


def _is_empty(root: Path) -> bool:
    """Whether a folder is empty, but for clutter and files of a first start that was cut short."""
    return not any(path.is_file() and path.suffix != _PARTIAL and not is_clutter(path) for path in root.rglob("*"))


def _write_files(folder: Path, frames: list[Frame], labels: EpisodeLabels) -> None:
    """Write an episode's files into a new folder and flush them to disk."""
    images = folder / "images"
    images.mkdir(parents=True)
    columns = {name: np.stack([frame[name] for frame in frames]) for name in frames[0] if name != IMAGE}
    with (folder / "columns.npz").open("wb") as file:
        np.savez(file, allow_pickle=False, **columns)
    for index, frame in enumerate(frames):
        if IMAGE in frame:
            (images / f"{index:06d}.png").write_bytes(_encode(frame))
    (folder / "episode.json").write_text(
        json.dumps({"frames": len(frames), "seed": int(frames[0][SEED][0]), **asdict(labels)})
    )
    sync(*(path for path in folder.rglob("*") if path.is_file()), images, folder)


def _encode(frame: Frame) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(frame[IMAGE], cv2.COLOR_RGB2BGR))[1])


def _decode(png: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("an image cannot be decoded")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
