"""Images of a recorded dataset, decoded from its videos through LeRobot."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lerobot.datasets.video_utils import decode_video_frames
from torch import Tensor

from reachy_kit.dataset.committed_files import files_in_place
from reachy_kit.dataset.dataset_index import DamagedFileError
from reachy_kit.dataset.reading import open_videos
from reachy_kit.runtime.recording.schema import IMAGE


class RecordedVideos:
    """The head camera's images of a dataset. As long as it is there, no recorder joins the dataset's files.

    Args:
        root: its folder.

    Raises:
        RefusedError: a video is missing, damaged or short.
    """

    def __init__(self, root: Path) -> None:
        self._held = contextlib.ExitStack()
        self._held.enter_context(files_in_place(root))
        self._index = open_videos(root).index

    def __getstate__(self) -> dict[str, Any]:
        """State for a loader's worker; the process that started it holds the files in place."""
        return {"_index": self._index}

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
        entry, hz = self._index.episodes[episode], self._index.fps
        part = entry.videos[IMAGE]
        video = self._index.root / part.file
        times = [part.begin + step / hz for step in steps]
        try:
            images: Tensor = decode_video_frames(video, times, 0.5 / hz, "pyav", return_uint8=True)
        except FileNotFoundError as error:
            raise DamagedFileError(video, "is missing", [episode]) from error
        except (OSError, ValueError, RuntimeError, IndexError, AssertionError) as error:  # LeRobot's, and FFmpeg's
            raise DamagedFileError(video, "cannot be decoded", [episode]) from error
        return images
