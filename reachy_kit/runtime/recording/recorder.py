"""Recording into LeRobot v3 datasets, an episode at a time, each safe on disk before the next begins.

LeRobot writes what makes a file readable only at the very end of a session, so the session here is one episode long. A
journal taken before each save undoes a save that was cut short. LeRobot is loaded when a dataset is opened, not before.
Try it: reachy-kit record --robot sim --task look_at --episodes 20 --out data/look_at
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, CAMERA, CONTROL_HZ, EndReason, Episode, Step
from reachy_kit.runtime.interrupts import interrupts_held_back

STATE, ENVIRONMENT_STATE, LAST_ACTION, ACTION = (
    "observation.state",
    "observation.environment_state",
    "observation.last_action",
    "action",
)
IMAGE = f"observation.images.{CAMERA}"
CAPTURE_TIME, IMAGE_TIME, SEED = "kit.capture_time", "kit.frame_time", "kit.seed"
"""Columns of our own. LeRobot stamps frames index / fps whatever really happened; these say what did. It takes every
column with "image" in its name for pixels."""
_KIT_FILE = Path("meta/reachy_kit.json")
_JOURNAL = Path(".before_save")


@dataclass(frozen=True)
class DatasetLayout:
    """What a dataset holds. A dataset is continued only by a recording of the same layout."""

    task: str
    instruction: str
    """The task in words, LeRobot's ``task`` column."""
    environment_state: tuple[str, ...]
    """Names of the perception's features."""
    policy_hz: int
    """Frames per second: one frame for each decision."""
    image_shape: tuple[int, int, int] | None = None
    """(height, width, 3), or None without a camera."""
    control_hz: int = CONTROL_HZ
    action: tuple[str, ...] = ACTION_NAMES
    provenance: dict[str, str] = field(default_factory=dict, compare=False)
    """Who and what recorded: robot, teleop, perception, versions."""

    def features(self) -> dict[str, dict[str, Any]]:
        """LeRobot's feature specification."""

        def vector(names: tuple[str, ...]) -> dict[str, Any]:
            return {"dtype": "float32", "shape": (len(names),), "names": list(names)}

        def scalar(dtype: str) -> dict[str, Any]:
            return {"dtype": dtype, "shape": (1,), "names": None}

        features = {
            STATE: vector(self.action),
            ENVIRONMENT_STATE: vector(self.environment_state),
            LAST_ACTION: vector(self.action),
            ACTION: vector(self.action),
            "next.reward": scalar("float32"),
            "next.success": scalar("bool"),
            CAPTURE_TIME: scalar("float64"),
            SEED: scalar("int64"),
        }
        if self.image_shape:
            features[IMAGE] = {"dtype": "video", "shape": self.image_shape, "names": ["height", "width", "channels"]}
            features[IMAGE_TIME] = scalar("float64")
        return features


class DatasetRecorder:
    """A rollout's subscriber that writes each completed episode; one that is discarded or aborted leaves no trace.

    Args:
        root: the dataset's folder, new or holding a dataset of the same layout.
        layout: what to record.
        on_saved: told the number of episodes on disk after each.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: the folder holds a dataset of another layout.
    """

    def __init__(self, root: Path, layout: DatasetLayout, on_saved: Callable[[int], None] | None = None) -> None:
        self.root, self.layout = root, layout
        self._on_saved = on_saved or (lambda episodes: None)
        self._seed = 0
        self._steps: list[Step] = []
        self._dataset = self._open()

    @property
    def episodes(self) -> int:
        """Episodes safely on disk."""
        return int(self._dataset.meta.total_episodes)

    def on_episode_start(self, seed: int) -> None:
        """Begin with an empty buffer."""
        self._seed, self._steps = seed, []

    def on_step(self, step: Step) -> None:
        """Keep the step in memory."""
        self._steps.append(step)

    def on_episode_end(self, episode: Episode) -> None:
        """Write a completed episode and close its files; Ctrl-C waits until they are whole. Any other leaves no trace.

        Raises:
            KitError: the disk is full or cannot be written; the episodes before are kept.
        """
        if episode.end_reason is not EndReason.COMPLETED or not self._steps:
            return
        with interrupts_held_back():
            try:
                self._save()
            except Exception as error:  # pyarrow, PyAV and LeRobot each raise their own
                self._take_back()
                raise KitError(
                    f"{self.root}: the episode could not be written ({error}). The {self._episodes_on_disk()} episodes "
                    "before it are kept; if the disk is full, make room, and record again to go on"
                ) from error
        self._on_saved(self.episodes)

    def _save(self) -> None:
        _write_journal(self.root)
        _quiet()
        for step in self._steps:
            self._dataset.add_frame(self._frame(step))
        self._require_images()
        self._dataset.save_episode()
        self._dataset.finalize()
        _drop_journal(self.root)
        self._dataset = self._resume()

    def _require_images(self) -> None:
        """LeRobot only logs an image that it could not write; the video would lack it, and the rest would slip."""
        written = sum(1 for _ in (self.root / "images").rglob("*.png"))
        if self.layout.image_shape and written != len(self._steps):
            raise OSError(f"{len(self._steps) - written} of its {len(self._steps)} images could not be written")

    def _take_back(self) -> None:
        """Undo a failed save, in between closing LeRobot's writers: they write what they still hold when destroyed."""
        _restore(self.root)
        for part in (self._dataset, self._dataset.meta):
            with contextlib.suppress(Exception):
                part.finalize()
        undo_broken_save(self.root)

    def _frame(self, step: Step) -> dict[str, Any]:
        observation, truth = step.observation, step.truth
        frame: dict[str, Any] = {
            "task": self.layout.instruction,
            STATE: observation.state.astype(np.float32),
            ENVIRONMENT_STATE: np.asarray(observation.environment_state, dtype=np.float32),
            LAST_ACTION: np.asarray(observation.last_action, dtype=np.float32),
            ACTION: step.action.astype(np.float32),
            "next.reward": np.array([truth.reward if truth else np.nan], dtype=np.float32),
            "next.success": np.array([bool(truth and truth.success)]),
            CAPTURE_TIME: np.array([observation.capture_time]),
            SEED: np.array([self._seed]),
        }
        if self.layout.image_shape:
            frame[IMAGE] = observation.images[CAMERA]
            frame[IMAGE_TIME] = np.array([observation.image_times[CAMERA]])
        return frame

    def _open(self) -> Any:
        if self.root.is_file():
            raise WrongUseError(f"{self.root} is a file; a dataset is a folder. Choose another --out")
        if not self.root.exists() or not any(self.root.iterdir()):
            return self._create()
        undo_broken_save(self.root)
        require_layout(self.root, self.layout)
        return self._resume()

    def _create(self) -> Any:
        if self.root.exists():
            self.root.rmdir()  # LeRobot insists on making the folder itself
        dataset = _lerobot_dataset().create(
            repo_id=f"local/{self.root.name}",
            root=self.root,
            fps=self.layout.policy_hz,
            features=self.layout.features(),
            robot_type="reachy_mini",
            video_backend="pyav",
            rgb_encoder=_encoder(),
        )
        (self.root / _KIT_FILE).write_text(json.dumps(asdict(self.layout), indent=2))
        return dataset

    def _resume(self) -> Any:
        if not self._episodes_on_disk():  # LeRobot cannot resume a dataset without an episode
            shutil.rmtree(self.root)
            return self._create()
        return _lerobot_dataset().resume(
            f"local/{self.root.name}", root=self.root, video_backend="pyav", rgb_encoder=_encoder()
        )

    def _episodes_on_disk(self) -> int:
        return int(json.loads((self.root / "meta/info.json").read_text())["total_episodes"])


def open_for_reading(root: Path) -> Any:
    """The LeRobotDataset at a folder, after undoing a save that was cut short.

    Raises:
        WrongUseError: LeRobot cannot read it.
    """
    undo_broken_save(root)
    try:
        return _lerobot_dataset()(f"local/{root.name}", root=root, video_backend="pyav")
    except Exception as error:  # LeRobot raises whatever its readers raise: pyarrow, JSON, pandas and its own
        raise WrongUseError(f"{root} cannot be read as a LeRobot dataset: {error}") from error


def _lerobot_dataset() -> Any:
    """LeRobot's dataset class; loading it takes seconds."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset


def _quiet() -> None:
    """LeRobot switches its tables' progress bars on again with each table, and FFmpeg's messages with each video."""
    import av.logging
    from datasets.utils import disable_progress_bars

    disable_progress_bars()
    av.logging.set_libav_level(av.logging.ERROR)


def _encoder() -> Any:
    """H.264 as fast as it goes: the default AV1 is too slow for a Pi."""
    from lerobot.configs import RGBEncoderConfig

    return RGBEncoderConfig(vcodec="h264", preset="ultrafast")


def read_layout(root: Path) -> DatasetLayout:
    """The layout of a dataset that this kit recorded.

    Raises:
        WrongUseError: there is no such dataset.
    """
    try:
        stored = json.loads((root / _KIT_FILE).read_text())
        stored["image_shape"] = tuple(stored["image_shape"]) if stored["image_shape"] else None
        return DatasetLayout(
            **{**stored, "environment_state": tuple(stored["environment_state"]), "action": tuple(stored["action"])}
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongUseError(
            f"{root} is no dataset of reachy-kit ({_KIT_FILE} is missing or unreadable). "
            f"Record one: reachy-kit record --out {root}"
        ) from error


def require_layout(root: Path, layout: DatasetLayout) -> None:
    """Refuse a dataset that holds something else.

    Raises:
        RefusedError: naming the first difference.
    """
    stored = read_layout(root)
    for name in ("action", "environment_state", "policy_hz", "control_hz", "task", "image_shape"):
        has, wants = getattr(stored, name), getattr(layout, name)
        if has != wants:
            raise RefusedError(
                f"{root} holds {name} {has}, this recording has {wants}. Record into another folder with --out"
            )


def _write_journal(root: Path) -> None:
    """Remember what a dataset is before a save: the list of its files, and those that LeRobot rewrites in place."""
    making = root / f"{_JOURNAL}.making"
    shutil.rmtree(making, ignore_errors=True)
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    (making / "meta").mkdir(parents=True)
    for path in (root / "meta").iterdir():
        if path.is_file():
            shutil.copy2(path, making / "meta" / path.name)
    (making / "files.json").write_text(json.dumps(files))
    for path in making.rglob("*.*"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    making.rename(root / _JOURNAL)


def _drop_journal(root: Path) -> None:
    """Forget it in one step: half a journal would undo half a save."""
    gone = root / f"{_JOURNAL}.gone"
    shutil.rmtree(gone, ignore_errors=True)
    (root / _JOURNAL).rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def undo_broken_save(root: Path) -> bool:
    """Bring a dataset whose last save was cut short back to the episodes before it; returns whether there was one."""
    if not _restore(root):
        return False
    _drop_journal(root)
    return True


def _restore(root: Path) -> bool:
    """Make a dataset's files what the journal says, where there is one."""
    journal = root / _JOURNAL
    if not journal.is_dir():
        return False
    kept = set(json.loads((journal / "files.json").read_text()))
    for path in sorted(root.rglob("*"), reverse=True):
        inside = path.relative_to(root)
        if inside.parts[0].startswith(_JOURNAL.name):
            continue
        if path.is_file() and str(inside) not in kept:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for path in (journal / "meta").iterdir():
        shutil.copy2(path, root / "meta" / path.name)
    return True
