"""The sink that writes a LeRobot v3 dataset, an episode at a time, each safe on disk before the next begins.

An episode is saved in files of its own through the redo log, in a time that does not grow with the dataset. At the end
of a session the files are joined. LeRobot is loaded when a dataset is opened, not before.
Try it: reachy-kit record --robot sim --task look_at --episodes 20 --out data/look_at
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from reachy_kit.dataset.dataset_layout import require_recordable_layout, restored_layout
from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.dataset.recording_folder import is_new, sole_recorder
from reachy_kit.dataset.saving.column_statistics import write_statistics
from reachy_kit.dataset.saving.file_joining import join_small_files
from reachy_kit.dataset.saving.imported_takes import read_imported_takes, stage_imported_takes
from reachy_kit.dataset.saving.lerobot_episode import write_episode, write_info, write_state
from reachy_kit.dataset.saving.lerobot_state import DatasetState, empty_state, load_state
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.layout import LAYOUT_FILE, DatasetLayout, layout_text
from reachy_kit.runtime.recording.redo_log import TAKE_VIDEO, complete, is_numbered, open_staging, staged_change
from reachy_kit.runtime.recording.schema import Frame
from reachy_kit.runtime.recording.video.take_video import TakeVideo


class LeRobotWriter:
    """A recorder's sink: a LeRobot v3 dataset, which it alone may record into until it is closed.

    Args:
        root: the dataset's folder, new, empty or holding a dataset of the same layout.
        layout: what to record.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: the folder holds a dataset of another layout, or another process records into it.
        KitError: the folder cannot be written.
    """

    def __init__(self, root: Path, layout: DatasetLayout) -> None:
        self.root, self.layout = root, layout
        self._failed = False
        self._before_last: tuple[DatasetState, list[str]] | None = None
        with contextlib.ExitStack() as stack:
            stack.enter_context(sole_recorder(root))
            self._state = self._open()
            self._first = self.episodes
            self._takes = read_imported_takes(root)
            self._sole = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(*(KitError,) if kind else ()):  # what ends the session says more
            self.close()

    @property
    def episodes(self) -> int:
        """Episodes safely on disk."""
        return int(self._state.info.total_episodes)

    @property
    def seeds(self) -> frozenset[int]:
        """Seeds of the episodes on disk."""
        return self._state.seeds

    @property
    def imported_takes(self) -> frozenset[str]:
        """Identities of the robot's takes that were imported, also of those whose episodes were dropped since."""
        return self._takes

    @property
    def video_file(self) -> Path:
        """Where the recorder encodes a take's images while it lasts."""
        return self.root / TAKE_VIDEO

    def write(
        self, frames: list[Frame], labels: EpisodeLabels, video: TakeVideo | None = None, take: str | None = None
    ) -> None:
        """Save an episode, flushed to disk.

        Args:
            frames: of the episode, all columns.
            labels: of the episode; the instruction becomes LeRobot's task.
            video: of the images, in ``video_file``, from where it is moved; None where the frames hold them.
            take: identity of the robot's take that is imported; None for one that is recorded here.

        Raises:
            KitError: the disk is full or cannot be written; the episodes before are kept.
        """
        self._failed = True
        with (
            self._explained("the episode could not be written", "The {} episodes before it are kept"),
            staged_change(self.root) as change,
        ):
            if take is not None:
                stage_imported_takes(change, self._takes | {take})
            after = write_episode(change, self._state, frames, labels.instruction, video)
            change.commit()
        added = [place for _, place in change.moves if is_numbered(place)]
        self._before_last, self._state, self._failed = (self._state, added), after, False
        self._takes = self._takes if take is None else self._takes | {take}

    def take_back(self) -> None:
        """Remove the episode that was written last, as if it had never been; once after each.

        Raises:
            KitError: the disk is full or cannot be written; the episode is kept.
        """
        assert self._before_last, "write an episode first"
        before, files = self._before_last
        with (
            self._explained("the last episode could not be removed", "Its {} episodes are kept"),
            staged_change(self.root) as change,
        ):
            write_state(change, before)
            change.removed.extend(files)
            change.commit()
        self._state, self._before_last = before, None

    def close(self) -> None:
        """Join small files, unless a write has failed, and let other processes record.

        Raises:
            KitError: the disk is full or cannot be written; the episodes are kept.
        """
        with self._sole, self._explained("its files could not be joined", "Its {} episodes are kept"):
            if not self._failed:
                join_small_files(self.root, self._state)
                self._write_statistics()

    def _write_statistics(self) -> None:
        """Write the statistics of all frames: those that were added up after each episode have means of quantiles."""
        if self.episodes == self._first:
            return
        with staged_change(self.root) as change:
            write_statistics(change, StoredDataset(self.root))
            change.commit()

    def _open(self) -> DatasetState:
        with self._explained("the folder cannot be written", "Its {} episodes are kept"):
            complete(self.root)
            if is_new(self.root):
                open_staging(self.root)
                return self._create()
            require_recordable_layout(self.root, self.layout)
            open_for_reading(self.root)  # what is damaged is named before anything is added to it
            open_staging(self.root)
        try:
            state = load_state(self.root, self.layout)
        except KitError:
            raise
        except Exception as error:  # LeRobot and pyarrow each raise their own
            raise WrongUseError(
                f"{self.root} cannot be read as a LeRobot dataset ({error}). Record into another folder"
            ) from error
        with self._explained("the folder cannot be written", "Its {} episodes are kept"):
            self._restore_layout()
        return state

    def _restore_layout(self) -> None:
        """Write the layout's file again where an edit by another tool has lost it, or has made it stale."""
        if (layout := restored_layout(self.root, self.layout)) is not None:
            with staged_change(self.root) as change:
                change.replace(LAYOUT_FILE.as_posix()).write_text(layout_text(layout, "lerobot"))
                change.commit()

    def _create(self) -> DatasetState:
        state = empty_state(self.layout)
        with staged_change(self.root) as change:
            change.replace(LAYOUT_FILE.as_posix()).write_text(layout_text(self.layout, "lerobot"))
            write_info(change, state.info)
            change.commit()
        return state

    @contextlib.contextmanager
    def _explained(self, what: str, kept: str) -> Iterator[None]:
        """Turn a failure to write into a message that says what is kept."""
        try:
            yield
        except KitError:
            raise
        except Exception as error:  # pyarrow, PyAV and the disk each raise their own
            if not self.root.is_dir():
                raise KitError(
                    f"{self.root} was deleted or moved while it was recorded into. Move it back, and give the same "
                    "command again to continue"
                ) from error
            raise KitError(
                f"{self.root}: {what} ({error}). {kept.format(self._episodes_on_disk())}; if the disk is full, make "
                "room, and give the same command again to continue"
            ) from error

    def _episodes_on_disk(self) -> int:
        try:
            return int(json.loads((self.root / "meta/info.json").read_text())["total_episodes"])
        except (OSError, ValueError, KeyError):
            return 0
