"""The sink that writes a LeRobot v3 dataset, an episode at a time, each safe on disk before the next begins.

LeRobot writes what makes a file readable only at the very end of a session, so the session here is one episode long. A
journal taken before each save undoes a save that was cut short. LeRobot is loaded when a dataset is opened, not before.
Try it: reachy-kit record --robot sim --task look_at --episodes 20 --out data/look_at
"""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from reachy_kit.dataset.journal import drop_journal, restore, undo_broken_save, write_journal
from reachy_kit.dataset.lerobot_features import lerobot_features
from reachy_kit.dataset.reading import lerobot_dataset
from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.folder_contents import contents
from reachy_kit.runtime.recording.layout import DatasetLayout, require_layout, write_layout
from reachy_kit.runtime.recording.schema import Frame


class LeRobotWriter:
    """A recorder's sink: a LeRobot v3 dataset.

    Args:
        root: the dataset's folder, new or holding a dataset of the same layout.
        layout: what to record.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: the folder holds a dataset of another layout.
    """

    def __init__(self, root: Path, layout: DatasetLayout) -> None:
        self.root, self.layout = root, layout
        self._dataset = self._open()

    @property
    def episodes(self) -> int:
        """Episodes safely on disk."""
        return int(self._dataset.meta.total_episodes)

    def write(self, frames: list[Frame]) -> None:
        """Save an episode and close its files.

        Raises:
            KitError: the disk is full or cannot be written; the episodes before are kept.
        """
        try:
            self._save(frames)
        except Exception as error:  # pyarrow, PyAV and LeRobot each raise their own
            self._take_back()
            raise KitError(
                f"{self.root}: the episode could not be written ({error}). The {self._episodes_on_disk()} episodes "
                "before it are kept; if the disk is full, make room, and give the same command again to continue"
            ) from error

    def _save(self, frames: list[Frame]) -> None:
        write_journal(self.root)
        _quiet()
        for frame in frames:
            self._dataset.add_frame({"task": self.layout.instruction, **frame})
        self._require_images(len(frames))
        self._dataset.save_episode()
        self._dataset.finalize()
        drop_journal(self.root)
        self._dataset = self._resume()

    def _require_images(self, frames: int) -> None:
        """Refuse an episode that lacks images: LeRobot only logs a failed write, and the video would shift."""
        written = sum(1 for _ in (self.root / "images").rglob("*.png"))
        if self.layout.image_shape and written != frames:
            raise OSError(f"{frames - written} of its {frames} images could not be written")

    def _take_back(self) -> None:
        """Undo a failed save, before and after closing LeRobot's writers: they write what they still hold."""
        restore(self.root)
        for part in (self._dataset, self._dataset.meta):
            with contextlib.suppress(Exception):
                part.finalize()
        undo_broken_save(self.root)

    def _open(self) -> Any:
        if self.root.is_file():
            raise WrongUseError(f"{self.root} is a file; a dataset is a folder. Choose another --out")
        if not self.root.exists() or not contents(self.root):
            return self._create()
        undo_broken_save(self.root)
        require_layout(self.root, self.layout)
        return self._resume()

    def _create(self) -> Any:
        if self.root.exists():
            shutil.rmtree(self.root)  # empty but for clutter, and LeRobot insists on making the folder itself
        dataset = lerobot_dataset().create(
            repo_id=f"local/{self.root.name}",
            root=self.root,
            fps=self.layout.policy_hz,
            features=lerobot_features(self.layout),
            robot_type="reachy_mini",
            video_backend="pyav",
            rgb_encoder=_encoder(),
        )
        write_layout(self.root, self.layout, "lerobot")
        return dataset

    def _resume(self) -> Any:
        if not self._episodes_on_disk():  # LeRobot cannot resume a dataset without an episode
            shutil.rmtree(self.root)
            return self._create()
        return lerobot_dataset().resume(
            f"local/{self.root.name}", root=self.root, video_backend="pyav", rgb_encoder=_encoder()
        )

    def _episodes_on_disk(self) -> int:
        return int(json.loads((self.root / "meta/info.json").read_text())["total_episodes"])


def _quiet() -> None:
    """Silence LeRobot, which re-enables progress bars with each table and FFmpeg's messages with each video."""
    import av.logging
    from datasets.utils import disable_progress_bars

    disable_progress_bars()
    av.logging.set_libav_level(av.logging.ERROR)


def _encoder() -> Any:
    """Encoder settings: H.264 at its fastest preset, because the default AV1 takes many times longer."""
    from lerobot.configs import RGBEncoderConfig

    return RGBEncoderConfig(vcodec="h264", preset="ultrafast")
