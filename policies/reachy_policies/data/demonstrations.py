"""Demonstrations as arrays: a LeRobot dataset read whole, cut into the windows that a chunk policy trains on."""

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
from reachy_policies.data.image_tensors import fitted


@dataclass(frozen=True)
class Demonstrations:
    """A dataset's numbers, in the order of recording."""

    layout: DatasetLayout
    state: Tensor
    """(F, 9) float32."""
    environment_state: Tensor
    """(F, K) float32."""
    last_action: Tensor
    """(F, 9) float32."""
    action: Tensor
    """(F, 9) float32."""
    episode: Tensor
    """(F,) int64."""
    pictures: Tensor | None = None
    """(F, C, H, W) uint8, for a policy that looks at them and not at the features."""

    @property
    def episodes(self) -> list[int]:
        """Indices of the episodes."""
        return sorted(set(self.episode.tolist()))


def load_demonstrations(root: Path) -> Demonstrations:
    """Read a dataset recorded by this kit.

    Raises:
        WrongUseError: it is none, or has fewer than two episodes.
        RefusedError: its actions are laid out otherwise, or hold numbers that are not finite.
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


def with_pictures(demonstrations: Demonstrations, root: Path, size: Sequence[int]) -> Demonstrations:
    """Read a dataset's videos too.

    Args:
        demonstrations: its numbers.
        root: its folder.
        size: rows and columns that its pictures are made small to.

    Raises:
        WrongUseError: it has none.
    """
    layout = demonstrations.layout
    if not layout.image_shape:
        raise WrongUseError("obs_type pixels needs pictures, and the dataset has none. Record it with --camera")
    meta = open_for_reading(root).meta
    pictures = []
    for index in demonstrations.episodes:
        episode = meta.episodes[index]
        begin = episode[f"videos/{IMAGE}/from_timestamp"]
        times = [begin + frame / layout.policy_hz for frame in range(episode["length"])]
        video = root / meta.get_video_file_path(index, IMAGE)
        frames = decode_video_frames(video, times, 0.5 / layout.policy_hz, "pyav", return_uint8=True)
        pictures.append(fitted(frames.permute(0, 2, 3, 1).numpy(), size))
    return replace(demonstrations, pictures=torch.cat(pictures))


def _column(root: Path, column: object, key: str) -> Tensor:
    values = np.asarray(column[:], dtype=np.float32)  # type: ignore[index]
    if not np.isfinite(values).all():
        frame = int(np.flatnonzero(~np.isfinite(values).all(axis=-1))[0])
        raise RefusedError(f"{root}: {key} of frame {frame} is not a number; record that episode again")
    return torch.from_numpy(values)


@dataclass(frozen=True)
class Windows:
    """Training examples: what the policy saw, and what was done then."""

    state: Tensor
    """(N, T, 9), oldest first."""
    environment_state: Tensor
    """(N, T, K) float32; or (N, 2, C, H, W) uint8, the first picture and the last."""
    last_action: Tensor
    """(N, 9)."""
    action: Tensor
    """(N, chunk, 9)."""
    is_pad: Tensor
    """(N, chunk) True past the episode's end."""
    named: Tensor | None = None
    """(N, K) the latest features, beside pictures."""

    def tensors(self) -> dict[str, Tensor]:
        """What there is, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def at(self, rows: Tensor | slice) -> "Windows":
        """Some of them."""
        return Windows(**{name: value[rows].contiguous() for name, value in self.tensors().items()})


def windows(
    demonstrations: Demonstrations, episodes: list[int], n_obs_steps: int, chunk_size: int, trim_idle: float = 0.0
) -> Windows:
    """One example for each frame of the given episodes; at an episode's edges its first and last frames repeat.

    Args:
        demonstrations: the recorded frames.
        episodes: which of them.
        n_obs_steps: T, observations in a window.
        chunk_size: actions in a window.
        trim_idle: leave out an episode's frames before the first command that moves further than this, m or rad. Frames
            that show no target stay in: waiting for one is worth learning.
    """
    frames = learned_frames(demonstrations, episodes, trim_idle)
    first = torch.searchsorted(demonstrations.episode, demonstrations.episode[frames], side="left")
    last = torch.searchsorted(demonstrations.episode, demonstrations.episode[frames], side="right") - 1
    seen = (frames[:, None] + torch.arange(1 - n_obs_steps, 1)).clamp_min(first[:, None])
    done = frames[:, None] + torch.arange(chunk_size)
    return Windows(
        state=demonstrations.state[seen],
        environment_state=demonstrations.environment_state[seen]
        if demonstrations.pictures is None
        else demonstrations.pictures[seen[:, [0, -1]]],
        last_action=demonstrations.last_action[frames],
        action=demonstrations.action[done.clamp_max(last[:, None])],
        is_pad=done > last[:, None],
        named=None if demonstrations.pictures is None else demonstrations.environment_state[frames],
    )


def learned_frames(demonstrations: Demonstrations, episodes: list[int], trim_idle: float) -> Tensor:
    """(N,) indices of the frames to learn from; arguments as of ``windows``."""
    chosen = torch.isin(demonstrations.episode, torch.tensor(episodes)) & ~_idle(demonstrations, trim_idle)
    return torch.nonzero(chosen).squeeze(-1)


def _idle(demonstrations: Demonstrations, least: float) -> Tensor:
    """(F,) True for the frames of an episode that show its target before its demonstrator first moves."""
    names = demonstrations.layout.environment_state
    idle = torch.zeros(len(demonstrations.episode), dtype=torch.bool)
    for episode in demonstrations.episodes if least > 0 else []:
        rows = torch.nonzero(demonstrations.episode == episode).squeeze(-1)
        moved = (demonstrations.action[rows] - demonstrations.last_action[rows[0]]).abs().amax(-1) > least
        if moved.any():
            idle[rows[: int(moved.to(torch.int8).argmax())]] = True
    if "target_visible" in names:
        idle &= demonstrations.environment_state[:, names.index("target_visible")] > 0
    return idle
