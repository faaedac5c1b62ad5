"""Images of recorded datasets, decoded from their videos through LeRobot."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lerobot.datasets.video_utils import decode_video_frames
from torch import Tensor

from reachy_kit.dataset.committed_files import files_in_place
from reachy_kit.dataset.dataset_index import DamagedFileError, DatasetIndex, EpisodeEntry
from reachy_kit.dataset.reading import open_videos
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.folder_contents import free_path
from reachy_kit.runtime.shell_command import compose_command


class RecordedVideos:
    """The head camera's images of datasets. As long as it is there, no recorder joins the datasets' files.

    Args:
        roots: folders of the datasets; their episodes are counted one after the other.
        camera: name of the head's camera; empty for the one called so, or the only one.

    Raises:
        RefusedError: a video is missing, damaged or short.
    """

    def __init__(self, *roots: Path, camera: str = "") -> None:
        self._held = contextlib.ExitStack()
        self._episodes: list[tuple[DatasetIndex, str, EpisodeEntry]] = []
        for root in roots:
            self._held.enter_context(files_in_place(root))
            dataset = open_videos(root, camera)
            key = _camera_of(dataset)
            self._episodes += [(dataset.index, key, entry) for entry in dataset.episodes]

    def __getstate__(self) -> dict[str, Any]:
        """State for a loader's worker; the process that started it holds the files in place."""
        return {"_episodes": self._episodes}

    def decode(self, episode: int, steps: Sequence[int]) -> Tensor:
        """Images of an episode.

        Args:
            episode: its index.
            steps: T of its frames, from 0.

        Returns:
            (T, 3, H, W) uint8.

        Raises:
            DamagedFileError: the video cannot be decoded there.
        """
        index, camera, entry = self._episodes[episode]
        hz, part = index.fps, entry.videos[camera]
        video = index.root / part.file
        times = [part.begin + step / hz for step in steps]
        try:
            images: Tensor = decode_video_frames(video, times, 0.5 / hz, "pyav", return_uint8=True)
        except FileNotFoundError as error:
            raise DamagedFileError(video, "is missing", [entry.index]) from error
        except (OSError, ValueError, RuntimeError, IndexError, AssertionError) as error:  # LeRobot's, and FFmpeg's
            raise DamagedFileError(video, "cannot be decoded", [entry.index]) from error
        return images


def _camera_of(dataset: StoredDataset) -> str:
    """Column of the head camera's videos."""
    camera, cameras = dataset.columns.camera, dataset.columns.cameras
    if camera is None:
        names = ", ".join(key.rpartition(".")[2] for key in cameras)
        raise RefusedError(f"{dataset.root} has the cameras {names or 'of none'}. Name the head's with --camera NAME")
    if dataset.index.features[camera]["dtype"] != "video":
        convert = compose_command("dataset convert", dataset.root, out=free_path(dataset.root))
        raise RefusedError(f"{dataset.root} holds {camera} as single images. Convert it to videos: {convert}")
    return camera
