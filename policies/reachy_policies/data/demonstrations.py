"""Demonstrations as tensors: a LeRobot dataset read whole."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reachy_kit.dataset.committed_files import continue_command
from reachy_kit.dataset.reading import open_for_training
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.schema import ACTION, OBS_ENV_STATE, OBS_LAST_ACTION, OBS_STATE
from reachy_policies.data.image_tensors import resize_images
from reachy_policies.data.recorded_videos import RecordedVideos


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

    @property
    def episodes(self) -> list[int]:
        """Indices of the episodes."""
        return sorted(set(self.episode.tolist()))


def load_demonstrations(root: Path) -> Demonstrations:
    """Read a dataset recorded by this kit.

    Raises:
        WrongUseError: it is not a dataset of this kit, or has fewer than two episodes.
        RefusedError: its actions have another layout, a file is damaged, or it holds numbers that cannot be.
    """
    dataset = open_for_training(root)
    if len(dataset.episodes) < 2:
        raise WrongUseError(
            f"{root} has {len(dataset.episodes)} episode(s); one is held out, so training needs at least 2. "
            f"Record more: {continue_command(root, episodes=20)}"
        )
    state, environment_state, last_action, action = (
        torch.from_numpy(dataset.column(key).astype(np.float32))
        for key in (OBS_STATE, OBS_ENV_STATE, OBS_LAST_ACTION, ACTION)
    )
    episode = torch.from_numpy(dataset.frame_episodes())
    return Demonstrations(dataset.layout, state, environment_state, last_action, action, episode)


def load_images(demonstrations: Demonstrations, root: Path, size: Sequence[int]) -> Demonstrations:
    """Read a dataset's videos too.

    Args:
        demonstrations: frames of the dataset.
        root: folder of the dataset.
        size: rows and columns to which its images are resized.

    Raises:
        WrongUseError: it was recorded without a camera.
        RefusedError: a video is missing, damaged or short.
    """
    layout = demonstrations.layout
    if not layout.image_shape:
        raise WrongUseError("obs_type pixels needs images, and the dataset has none. Record it with --camera")
    videos = RecordedVideos(root)
    images = []
    for index in demonstrations.episodes:
        frames = videos.decode(index, range(int((demonstrations.episode == index).sum())))
        images.append(resize_images(frames.permute(0, 2, 3, 1).numpy(), size))
    return replace(demonstrations, images=torch.cat(images))
