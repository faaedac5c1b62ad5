"""Demonstrations as tensors: a LeRobot dataset read whole."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from lerobot.datasets.video_utils import decode_video_frames
from torch import Tensor

from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.recording.layout import DatasetLayout, read_layout
from reachy_kit.runtime.recording.schema import ACTION, IMAGE, OBS_ENV_STATE, OBS_LAST_ACTION, OBS_STATE
from reachy_policies.data.image_tensors import resize_images


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
        RefusedError: its actions have another layout, or it holds numbers that are not finite.
    """
    layout = read_layout(root)
    if layout.action != ACTION_NAMES:
        raise RefusedError(
            f"{root} was recorded with the actions {', '.join(layout.action)}; this kit's robots take "
            f"{', '.join(ACTION_NAMES)}. Record it again with this kit"
        )
    dataset = open_for_reading(root)
    if dataset.num_episodes < 2:
        raise WrongUseError(
            f"{root} has {dataset.num_episodes} episode(s); one is held out, so training needs at least 2. "
            f"Record more: reachy-kit record --out {root}"
        )
    table = dataset.hf_dataset.with_format("numpy")
    columns = {key: _column(root, table[key], key) for key in (OBS_STATE, OBS_ENV_STATE, OBS_LAST_ACTION, ACTION)}
    return Demonstrations(
        layout=layout,
        state=columns[OBS_STATE],
        environment_state=columns[OBS_ENV_STATE],
        last_action=columns[OBS_LAST_ACTION],
        action=columns[ACTION],
        episode=torch.from_numpy(np.asarray(table["episode_index"][:], dtype=np.int64)),
    )


def load_images(demonstrations: Demonstrations, root: Path, size: Sequence[int]) -> Demonstrations:
    """Read a dataset's videos too.

    Args:
        demonstrations: frames of the dataset.
        root: folder of the dataset.
        size: rows and columns to which its images are resized.

    Raises:
        WrongUseError: it was recorded without a camera.
    """
    layout = demonstrations.layout
    if not layout.image_shape:
        raise WrongUseError("obs_type pixels needs images, and the dataset has none. Record it with --camera")
    meta = open_for_reading(root).meta
    images = []
    for index in demonstrations.episodes:
        episode = meta.episodes[index]
        begin = episode[f"videos/{IMAGE}/from_timestamp"]
        times = [begin + frame / layout.policy_hz for frame in range(episode["length"])]
        video = root / meta.get_video_file_path(index, IMAGE)
        frames = decode_video_frames(video, times, 0.5 / layout.policy_hz, "pyav", return_uint8=True)
        images.append(resize_images(frames.permute(0, 2, 3, 1).numpy(), size))
    return replace(demonstrations, images=torch.cat(images))


def _column(root: Path, column: object, key: str) -> Tensor:
    values = np.asarray(column[:], dtype=np.float32)  # type: ignore[index]
    if not np.isfinite(values).all():
        frame = int(np.flatnonzero(~np.isfinite(values).all(axis=-1))[0])
        raise RefusedError(f"{root}: {key} of frame {frame} is not a number; record that episode again")
    return torch.from_numpy(values)
