"""Episodes as plain files, for the robot's own computer, which has no LeRobot.

::

    meta/reachy_kit.json                 the layout
    episodes/000000/episode.json         number of frames, seed, the take's identity, labels, SHA-256 of the others
    episodes/000000/frames.parquet       every column but the images, a row for each frame
    episodes/000000/head.mp4             the images in H.264, or
    episodes/000000/head.parquet         as PNG, where there is no encoder

The files of an episode appear together, through the redo log: one whose ``episode.json`` is there is whole.
[EPISODE_FILES.md](EPISODE_FILES.md) describes them for programs of others;
`reachy_kit.dataset.episode_import` makes a LeRobot dataset of them.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reachy_kit.runtime.durable_files import sync
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.folder_contents import is_clutter
from reachy_kit.runtime.interface import Image
from reachy_kit.runtime.json_record import mistyped_fields
from reachy_kit.runtime.recording.episode_table import read_binaries, read_table, write_binaries, write_table
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.layout import DatasetLayout, require_layout, write_layout
from reachy_kit.runtime.recording.redo_log import TAKE_VIDEO, Change, open_staging, staged_change
from reachy_kit.runtime.recording.schema import IMAGE, SEED, Frame
from reachy_kit.runtime.recording.video.h264 import can_encode, read_video
from reachy_kit.runtime.recording.video.take_video import TakeVideo, encode_images

EPISODE, FRAMES, VIDEO, PICTURES = "episode.json", "frames.parquet", "head.mp4", "head.parquet"
"""Files of an episode; the first one makes the others count."""
_PARTIAL = ".partial"


class EpisodeFiles:
    """A recorder's sink: plain files, durable against power loss as soon as ``write`` returns.

    Args:
        root: folder, new or holding episodes of the same layout; this process alone records into it.
        layout: what to record.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: the folder holds episodes of another layout, or lacks one.
        KitError: the folder cannot be written.
    """

    def __init__(self, root: Path, layout: DatasetLayout) -> None:
        self.root, self.layout = root, layout
        if root.is_file():
            raise WrongUseError(f"{root} is a file; episodes need a folder. Choose another --out")
        new = _is_empty(root)
        if not new:
            require_layout(root, layout, "episode files")
        try:
            if new:
                write_layout(root, layout, "episode files")
                sync(root)
            open_staging(root)
        except OSError as error:
            raise KitError(f"{root} cannot be written ({error.strerror}). Choose another --out") from error
        self._episodes = count_episodes(root)
        self._video = can_encode()

    @property
    def episodes(self) -> int:
        """Episodes safely on disk."""
        return self._episodes

    @property
    def video_file(self) -> Path | None:
        """Where the recorder encodes a take's images while it lasts; None without an encoder."""
        return self.root / TAKE_VIDEO if self._video else None

    def write(self, frames: list[Frame], labels: EpisodeLabels, video: TakeVideo | None = None) -> None:
        """Store an episode completely or not at all.

        Raises:
            KitError: the disk is full or cannot be written; the episodes before are kept.
        """
        try:
            with staged_change(self.root) as change:
                self._write_files(change, frames, labels, video)
                change.commit()
        except OSError as error:
            raise KitError(
                f"{self.root}: the episode could not be written ({error}). The {self._episodes} episodes before it "
                "are kept; if the disk is full, make room, and give the same command again to continue"
            ) from error
        self._episodes += 1

    def take_back(self) -> None:
        """Remove the episode that was written last, as if it had never been.

        Raises:
            KitError: the disk cannot be written; the episode is kept.
        """
        assert self._episodes, "write an episode first"
        folder = _place(self._episodes - 1)
        files = [name for name in (EPISODE, FRAMES, VIDEO, PICTURES) if (self.root / folder / name).exists()]
        try:
            with staged_change(self.root) as change:
                change.removed.extend(f"{folder}/{name}" for name in files)
                change.commit()
        except OSError as error:
            raise KitError(f"{self.root}: the last episode could not be removed ({error}). It is kept") from error
        self._episodes -= 1

    def _write_files(self, change: Change, frames: list[Frame], labels: EpisodeLabels, video: TakeVideo | None) -> None:
        folder = _place(self._episodes)
        files = {FRAMES: change.replace(f"{folder}/{FRAMES}")}
        write_table(files[FRAMES], frames, [name for name in frames[0] if name != IMAGE])
        if video:
            files[VIDEO] = video.path.replace(change.replace(f"{folder}/{VIDEO}"))
        elif IMAGE in frames[0]:
            images = [frame[IMAGE] for frame in frames]
            name = VIDEO if self._video else PICTURES
            files[name] = change.replace(f"{folder}/{name}")
            if self._video:
                encode_images(images, files[name], self.layout.policy_hz)
            else:
                write_binaries(files[name], IMAGE, [_encode(image) for image in images])
        about = {"frames": len(frames), "seed": int(frames[0][SEED][0]), "take": uuid.uuid4().hex}
        about |= asdict(labels)
        about["sha256"] = {name: sha256(path) for name, path in files.items()}
        change.replace(f"{folder}/{EPISODE}").write_text(json.dumps(about, indent=2))


def count_episodes(root: Path) -> int:
    """Whole episodes in a folder of episode files.

    Raises:
        RefusedError: one of them is missing.
    """
    numbers = sorted(int(path.parent.name) for path in root.glob(f"episodes/*/{EPISODE}"))
    if numbers != list(range(len(numbers))):
        missing = min(set(range(numbers[-1])) - set(numbers))
        raise RefusedError(f"{root} lacks episode {missing}. Copy the whole folder again from the robot")
    return len(numbers)


def episode_files(root: Path, index: int) -> dict[str, str]:
    """Name → SHA-256 of an episode's files but ``episode.json``.

    Raises:
        RefusedError: ``episode.json`` is missing or damaged.
    """
    sums: dict[str, str] = _about(root, index)["sha256"]
    return sums


def take_of(root: Path, index: int) -> str:
    """Identity of the take that became an episode: unique among all robots and recordings, unlike its seed.

    Raises:
        RefusedError: ``episode.json`` is missing or damaged.
    """
    take: str = _about(root, index)["take"]
    return take


def read_episode(root: Path, index: int) -> list[Frame]:
    """The frames of an episode, as `EpisodeFiles.write` received them; images as the encoder kept them.

    Args:
        root: folder of the episodes.
        index: from 0.

    Raises:
        RefusedError: a file is missing or damaged.
    """
    folder, about = root / _place(index), _about(root, index)
    try:
        frames = read_table(folder / FRAMES)
        images = _read_images(folder, about["sha256"])
        if len(frames) != about["frames"] or (images is not None and len(images) != len(frames)):
            raise ValueError(f"not every file has {about['frames']} frames")
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error
    for frame, image in zip(frames, images or (), strict=False):
        frame[IMAGE] = image
    return frames


def video_file(root: Path, index: int) -> Path | None:
    """The video of an episode; None where its images are stored otherwise, or not at all.

    Raises:
        RefusedError: ``episode.json`` is missing or damaged.
    """
    return root / _place(index) / VIDEO if VIDEO in _about(root, index)["sha256"] else None


def read_labels(root: Path, index: int) -> EpisodeLabels:
    """The labels of an episode, as `EpisodeFiles.write` received them.

    Args:
        root: folder of the episodes.
        index: from 0.

    Raises:
        RefusedError: the file is missing or damaged.
    """
    return _labels(_about(root, index))


def sha256(path: Path) -> str:
    """Digest of a file's content.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(index: int) -> str:
    return f"episodes/{index:06d}"


def _about(root: Path, index: int) -> dict[str, Any]:
    """What ``episode.json`` says, with a number of frames, labels, and names of files that exist in the format."""
    folder = root / _place(index)
    try:
        about = json.loads((folder / EPISODE).read_bytes())
        if not isinstance(about, dict) or not isinstance(about["frames"], int) or mistyped_fields(_labels(about)):
            raise ValueError(f"{EPISODE} is not an episode's")
        if not isinstance(about["take"], str) or not about["take"]:
            raise ValueError(f"{EPISODE} lacks the take's identity")
        if not isinstance(about["sha256"], dict) or not {FRAMES} <= set(about["sha256"]) <= {FRAMES, VIDEO, PICTURES}:
            raise ValueError(f"{EPISODE} names other files")
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise _damaged(folder, error) from error
    return about


def _labels(about: dict[str, Any]) -> EpisodeLabels:
    return EpisodeLabels(**{field.name: about[field.name] for field in fields(EpisodeLabels)})


def _damaged(folder: Path, error: Exception) -> RefusedError:
    return RefusedError(f"{folder} is damaged ({error}). Copy it again from the robot")


def _is_empty(root: Path) -> bool:
    """Whether a folder is empty, but for clutter and files of a first start that was cut short."""
    return not any(path.is_file() and path.suffix != _PARTIAL and not is_clutter(path) for path in root.rglob("*"))


def _read_images(folder: Path, names: dict[str, str]) -> Sequence[Image] | None:
    if VIDEO in names:
        return read_video(folder / VIDEO)
    if PICTURES in names:
        return [_decode(png) for png in read_binaries(folder / PICTURES, IMAGE)]
    return None


def _encode(image: Image) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1])


def _decode(png: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_COLOR) if png else None
    if image is None:
        raise ValueError("an image cannot be decoded")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
