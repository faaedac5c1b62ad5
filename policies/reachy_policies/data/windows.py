"""Windows of recorded steps: a chunk policy's observations, and the actions that followed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import Tensor

from reachy_kit.runtime.recording.schema import IMAGE, OBS_LAST_ACTION
from reachy_policies.data.demonstrations import Demonstrations


@dataclass(frozen=True)
class Windows:
    """N training examples."""

    state: Tensor
    """(N, T, 9) m and rad, oldest first."""
    environment_state: Tensor
    """(N, T, K) perception's features."""
    last_action: Tensor
    """(N, 9) the action in force."""
    action: Tensor
    """(N, chunk, 9) m and rad, the actions that followed."""
    is_pad: Tensor
    """(N, chunk) True past the episode's end, and where a policy drove that the person corrected."""
    images: Tensor | None = None
    """(N, 2, C, H, W) uint8, the first image of the window and the last."""

    @property
    def sensed(self) -> Tensor:
        """The images where there are any, else ``environment_state``."""
        return self.environment_state if self.images is None else self.images

    def tensors(self) -> dict[str, Tensor]:
        """Fields that are present, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def select(self, rows: Tensor | slice) -> "Windows":
        """Examples at the given rows."""
        return Windows(**{name: value[rows].contiguous() for name, value in self.tensors().items()})

    def batch(self, rows: Tensor | slice = slice(None)) -> dict[str, Tensor]:
        """Examples at the given rows as a chunk policy's batch; images in [0, 1]."""
        batch = {
            OBS_STATE: self.state[rows],
            OBS_ENV_STATE: self.environment_state[rows],
            OBS_LAST_ACTION: self.last_action[rows],
            ACTION: self.action[rows],
            "action_is_pad": self.is_pad[rows],
        }
        if self.images is not None:
            batch[IMAGE] = self.images[rows].float() / 255
        return batch


def steps_around(
    steps: Tensor, offsets: Sequence[int], first: Tensor | int, last: Tensor | int
) -> tuple[Tensor, Tensor]:
    """Steps before and after given ones, within their episodes: at its edges an episode's first and last step repeat.

    Args:
        steps: (N,) indices.
        offsets: D offsets relative to each step; ``past(T)`` for a history.
        first: (N,) first step of each step's episode, or one for all.
        last: (N,) last step of each step's episode, or one for all.

    Returns:
        (N, D) indices, and (N, D) whether the episode's edge stands for a step outside.
    """
    first, last = (torch.as_tensor(edge).reshape(-1, 1) for edge in (first, last))
    wanted = steps[:, None] + torch.tensor(list(offsets))
    inside = torch.minimum(torch.maximum(wanted, first), last)
    return inside, inside != wanted


def past(n_obs_steps: int) -> range:
    """Offsets of the latest T observations, oldest first."""
    return range(1 - n_obs_steps, 1)


def cut_windows(
    demonstrations: Demonstrations, episodes: Sequence[int], n_obs_steps: int, chunk_size: int, trim_idle: float = 0.0
) -> Windows:
    """Cut one example for each frame of the given episodes.

    Args:
        demonstrations: the recorded frames.
        episodes: indices of the episodes.
        n_obs_steps: T, observations in a window.
        chunk_size: actions in a window.
        trim_idle: leave out an episode's frames before the first command that moves further than this, m or rad. Frames
            that show no target stay in: waiting for one is worth learning.
    """
    return cut_windows_at(demonstrations, select_frames(demonstrations, episodes, trim_idle), n_obs_steps, chunk_size)


def cut_windows_at(demonstrations: Demonstrations, frames: Tensor, n_obs_steps: int, chunk_size: int) -> Windows:
    """Cut one example for each of the given frames, (N,) indices; other arguments as in ``cut_windows``."""
    edges = episode_edges(demonstrations.episode, frames)
    observed, _ = steps_around(frames, past(n_obs_steps), *edges)
    commanded, is_pad = steps_around(frames, range(chunk_size), *edges)
    is_pad |= ~demonstrations.demonstrated_frames[commanded]
    images = demonstrations.images
    return Windows(
        state=demonstrations.state[observed],
        environment_state=demonstrations.environment_state[observed],
        last_action=demonstrations.last_action[frames],
        action=demonstrations.action[commanded],
        is_pad=is_pad,
        images=None if images is None else images[observed[:, [0, -1]]],
    )


def episode_edges(episode: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
    """First and last frames, (N,) each, of the episodes that frames belong to.

    Args:
        episode: (F,) episode of every frame, ascending.
        frames: (N,) indices.
    """
    first = torch.searchsorted(episode, episode[frames], side="left")
    return first, torch.searchsorted(episode, episode[frames], side="right") - 1


def select_frames(demonstrations: Demonstrations, episodes: Sequence[int], trim_idle: float) -> Tensor:
    """Indices (N,) of the frames to learn from; arguments as in ``cut_windows``."""
    chosen = torch.isin(demonstrations.episode, torch.tensor(list(episodes))) & ~_idle(demonstrations, trim_idle)
    chosen &= demonstrations.demonstrated_frames
    return torch.nonzero(chosen).squeeze(-1)


def has_moved(actions: Tensor, start: Tensor, threshold: float) -> Tensor:
    """Whether a command has left the start by then, (S, …).

    Args:
        actions: (S, …, 9) of an episode, m and rad.
        start: (…, 9) the action in force before it.
        threshold: change of a number beyond which it has moved, m or rad.
    """
    return (actions - start).abs().amax(-1).gt(threshold).int().cummax(0).values.bool()


def _idle(demonstrations: Demonstrations, threshold: float) -> Tensor:
    """Mask (F,) of the frames that show the target before the demonstrator first moves in their episode."""
    names = demonstrations.layout.environment_state
    idle = torch.zeros(len(demonstrations.episode), dtype=torch.bool)
    for episode in demonstrations.episodes if threshold > 0 else []:
        rows = torch.nonzero(demonstrations.episode == episode).squeeze(-1)
        moved = has_moved(demonstrations.action[rows], demonstrations.last_action[rows[0]], threshold)
        if moved.any():
            idle[rows] = ~moved
    if "target_visible" in names:
        idle &= demonstrations.environment_state[:, names.index("target_visible")] > 0
    return idle
