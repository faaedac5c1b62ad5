"""Demonstrations as tensors: LeRobot datasets of this robot read whole, and put one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reachy_kit.dataset.committed_files import continue_command
from reachy_kit.dataset.dataset_layout import require_task
from reachy_kit.dataset.reading import open_for_training
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import POLICY_RATES
from reachy_kit.runtime.recording.layout import DatasetLayout, describe_difference, record_command
from reachy_kit.runtime.recording.schema import ACTION, INTERVENTION, OBS_ENV_STATE, OBS_LAST_ACTION, OBS_STATE
from reachy_kit.runtime.tasks.task_registry import task_spec
from reachy_policies.data.image_tensors import resize_images
from reachy_policies.data.recorded_videos import RecordedVideos
from reachy_policies.data.resampling import resample

_SHARED = "action", "environment_state", "environment_state_units", "policy_hz", "control_hz", "task"
"""What datasets must share to be learned from together; images only where a policy takes them."""


@dataclass(frozen=True)
class Demonstrations:
    """Frames of a dataset, in the order of recording."""

    layout: DatasetLayout
    state: Tensor
    """(F, 9) float32, m and rad, measured."""
    environment_state: Tensor
    """(F, K) float32, perception's features."""
    last_action: Tensor
    """(F, 9) float32."""
    action: Tensor
    """(F, 9) float32."""
    episode: Tensor
    """(F,) int64, index of the episode."""
    images: Tensor | None = None
    """(F, C, H, W) uint8, for a policy that takes them instead of the features."""
    roots: tuple[Path, ...] = ()
    """Folders of the datasets, in the order of their episodes."""
    camera: str = ""
    """Name of the head's camera in them; empty for the one called so, or the only one."""
    instructions: tuple[str, ...] = ()
    """The task of each episode in words."""
    recorded_steps: Tensor | None = None
    """(F,) int64, frame of the recorded episode that each frame shows; None where each is a recorded one in turn."""

    demonstrated: Tensor | None = None
    """(F,) bool, frames to learn from: of an episode in which a person corrected a policy, those in which the person
    drove (HG-DAgger, Kelly et al. 2019). None where all are."""

    @property
    def episodes(self) -> list[int]:
        """Indices of the episodes."""
        return sorted(set(self.episode.tolist()))

    @property
    def demonstrated_frames(self) -> Tensor:
        """Mask of the frames to learn from, (F,) bool."""
        return torch.ones_like(self.episode, dtype=torch.bool) if self.demonstrated is None else self.demonstrated

    @property
    def as_recorded(self) -> bool:
        """Whether they are the frames of a single dataset, none left out or repeated."""
        return len(self.roots) == 1 and self.recorded_steps is None

    def instruction(self, episode: int) -> str:
        """The task of an episode in words."""
        return self.instructions[episode] if self.instructions else self.layout.instruction

    def steps_of(self, episode: int) -> Tensor:
        """Frames of the recorded episode, (T,) int64."""
        rows = self.episode == episode
        return torch.arange(int(rows.sum())) if self.recorded_steps is None else self.recorded_steps[rows]


def load_demonstrations(*roots: Path, task: str = "", camera: str = "") -> Demonstrations:
    """Read LeRobot v3 datasets of this robot, recorded by this kit or not; they are put one after the other.

    A dataset of a rate at which no policy acts is resampled to the next lower one: poses and features linearly, images
    and what cannot lie between two values by the frame before.

    Args:
        roots: folders of the datasets.
        task: name of the task that they show; empty for the one that they name.
        camera: name of the head's camera in them; empty for the one called so, or the only one.

    Raises:
        WrongUseError: a folder is not a dataset, its task is not known, or there are fewer than two episodes.
        RefusedError: one is of another robot, lacks what its task needs, differs from the first, or is damaged.
    """
    parts = [_load(root, task, camera) for root in roots]
    for part in parts[1:]:
        if difference := describe_difference(part.layout, parts[0].layout, "the first dataset has", _SHARED):
            raise RefusedError(f"{part.roots[0]} holds {difference} ({parts[0].roots[0]}). Train on either")
    offsets = np.cumsum([0, *(len(part.instructions) for part in parts)]).tolist()
    if offsets[-1] < 2:
        raise WrongUseError(
            f"{', '.join(map(str, roots))} has {offsets[-1]} episode(s); one is held out, so training needs at least "
            f"2. Record more: {continue_command(roots[0], episodes=20)}"
        )
    if len(parts) == 1:
        return parts[0]
    return _concatenate(parts, offsets)


def _concatenate(parts: Sequence[Demonstrations], offsets: Sequence[int]) -> Demonstrations:
    layout, steps = parts[0].layout, None
    if any(part.layout.image_shape != layout.image_shape for part in parts):
        layout = replace(layout, image_shape=None)
    if any(part.recorded_steps is not None for part in parts):
        steps = torch.cat([part.steps_of(episode) for part in parts for episode in range(len(part.instructions))])
    demonstrated = None
    if any(part.demonstrated is not None for part in parts):
        every = [torch.ones_like(part.episode, dtype=torch.bool) for part in parts]
        own = [
            ones if part.demonstrated is None else part.demonstrated for part, ones in zip(parts, every, strict=True)
        ]
        demonstrated = torch.cat(own)
    return Demonstrations(
        layout,
        torch.cat([part.state for part in parts]),
        torch.cat([part.environment_state for part in parts]),
        torch.cat([part.last_action for part in parts]),
        torch.cat([part.action for part in parts]),
        torch.cat([part.episode + offset for part, offset in zip(parts, offsets, strict=False)]),
        roots=tuple(root for part in parts for root in part.roots),
        camera=parts[0].camera,
        instructions=tuple(words for part in parts for words in part.instructions),
        recorded_steps=steps,
        demonstrated=demonstrated,
    )


def _load(root: Path, task: str, camera: str) -> Demonstrations:
    dataset = open_for_training(root, camera)
    layout = require_task(root, dataset.layout, task)
    chosen = _features(layout)
    features = [layout.environment_state.index(name) for name in chosen]
    units = tuple(layout.environment_state_units[index] for index in features)
    layout = replace(layout, environment_state=chosen, environment_state_units=units)
    columns = {
        key: torch.from_numpy(dataset.column(key).astype(np.float32))
        for key in (OBS_STATE, OBS_ENV_STATE, OBS_LAST_ACTION, ACTION)
    }
    columns[OBS_ENV_STATE] = columns[OBS_ENV_STATE][:, features]
    episode, steps = torch.from_numpy(dataset.frame_episodes()), None
    if layout.policy_hz not in POLICY_RATES:
        hz = _rate_below(root, layout.policy_hz)
        resampled = resample(columns, episode, layout.policy_hz, hz, _held(chosen))
        columns, episode, steps = resampled.columns, resampled.episode, resampled.steps
        layout = replace(layout, policy_hz=hz)
    return Demonstrations(
        layout,
        columns[OBS_STATE],
        columns[OBS_ENV_STATE],
        columns[OBS_LAST_ACTION],
        columns[ACTION],
        episode,
        roots=(root,),
        camera=camera,
        instructions=tuple(entry.instruction or layout.instruction for entry in dataset.episodes),
        recorded_steps=steps,
        demonstrated=_demonstrated(dataset, episode, steps),
    )


def _demonstrated(dataset: StoredDataset, episode: Tensor, steps: Tensor | None) -> Tensor | None:
    """Mask of the frames to learn from; None where no person corrected a policy.

    Args:
        dataset: as recorded.
        episode: (F,) episode of each frame that is learned from.
        steps: (F,) the frame of its recorded episode; None for each in turn.
    """
    if not dataset.has_column(INTERVENTION):
        return None
    driven = torch.from_numpy(dataset.column(INTERVENTION).reshape(-1).astype(bool))
    if not driven.any():
        return None
    recorded = torch.from_numpy(dataset.frame_episodes())
    corrected = torch.isin(recorded, recorded[driven])
    chosen = driven | ~corrected
    if steps is None:
        return chosen
    return chosen[torch.searchsorted(recorded, episode) + steps]


def _features(layout: DatasetLayout) -> tuple[str, ...]:
    """Features to learn from: those of the task in its order, if the dataset has them all; else all that it has."""
    try:
        wanted = task_spec(layout.task).features
    except WrongUseError:  # a task of a file or a package that is not here
        return layout.environment_state
    return wanted if set(wanted) <= set(layout.environment_state) else layout.environment_state


def _held(names: Sequence[str]) -> list[int]:
    """Places of the features that cannot lie between two values: whether something is there, and how old that is."""
    return [place for place, name in enumerate(names) if name.endswith(("_visible", "_heard", "_age"))]


def _rate_below(root: Path, fps: int) -> int:
    lower = [hz for hz in POLICY_RATES if hz <= fps]
    if not lower:
        raise RefusedError(
            f"{root} has {fps} frames per second; policies act {min(POLICY_RATES)} times per second or more often. "
            f"Record it again: {record_command(root)}"
        )
    return max(lower)


def require_observed(demonstrations: Demonstrations) -> None:
    """Refuse datasets that lack features of their task, for a policy that learns from features.

    Raises:
        RefusedError: there are some; the message names them.
    """
    layout, root = demonstrations.layout, demonstrations.roots[0]
    try:
        wanted = task_spec(layout.task).features
    except WrongUseError:
        wanted = layout.environment_state
    missing = [name for name in wanted if name not in layout.environment_state]
    if missing or not layout.environment_state:
        lacks = ", ".join(missing) or "all features"
        images = "; or learn from its images with --policy act --obs-type pixels" if layout.image_shape else ""
        raise RefusedError(
            f"{root} lacks {lacks}, which {layout.task} needs. Record it with this kit: "
            f"{record_command(root, layout)}{images}"
        )


def load_images(demonstrations: Demonstrations, size: Sequence[int]) -> Demonstrations:
    """Read the datasets' videos too.

    Args:
        demonstrations: frames of the datasets.
        size: rows and columns to which the images are resized.

    Raises:
        WrongUseError: one was recorded without a camera.
        RefusedError: a video is missing, damaged or short.
    """
    if not demonstrations.layout.image_shape:
        lacking = "the datasets are not all of one size" if demonstrations.roots[1:] else "the dataset has none"
        raise WrongUseError(f"obs_type pixels needs images, and {lacking}. Record with --camera")
    videos = RecordedVideos(*demonstrations.roots, camera=demonstrations.camera)
    images = []
    for index in demonstrations.episodes:
        frames = videos.decode(index, demonstrations.steps_of(index).tolist())
        images.append(resize_images(frames.permute(0, 2, 3, 1).numpy(), size))
    return replace(demonstrations, images=torch.cat(images))
