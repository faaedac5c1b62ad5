"""Recorded frames at another rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reachy_kit.runtime.recording.schema import ACTION, OBS_ENV_STATE, OBS_LAST_ACTION


@dataclass(frozen=True)
class Resampled:
    """Frames at another rate."""

    columns: dict[str, Tensor]
    """Column → (F, …)."""
    episode: Tensor
    """(F,) int64."""
    steps: Tensor
    """(F,) int64, the recorded frame before each, counted within its episode."""


def resample(columns: Mapping[str, Tensor], episode: Tensor, fps: int, hz: int, held: Sequence[int] = ()) -> Resampled:
    """Resample episodes to a lower rate.

    Poses and features are interpolated linearly. The last action becomes the action of the new step before.

    Args:
        columns: column → (F, …) float.
        episode: (F,) episode of each frame, ascending.
        fps: frames per second that were recorded.
        hz: frames per second that are wanted.
        held: places of the features that keep the value of the frame before.
    """
    parts: dict[str, list[Tensor]] = {key: [] for key in columns}
    episodes, steps = [], []
    for index in episode.unique_consecutive().tolist():
        rows = torch.nonzero(episode == index).squeeze(-1)
        count = int((len(rows) - 1) * hz / fps) + 1
        times = torch.arange(count, dtype=torch.float64) * fps / hz
        before = times.floor().long()
        after = (before + 1).clamp_max(len(rows) - 1)
        share = (times - before).to(torch.float32)[:, None]
        for key, values in columns.items():
            first, second = values[rows[before]], values[rows[after]]
            mixed = first + share * (second - first)
            if key == OBS_ENV_STATE and held:
                mixed[:, list(held)] = first[:, list(held)]
            parts[key].append(mixed)
        if OBS_LAST_ACTION in columns:
            last, action = parts[OBS_LAST_ACTION][-1], parts[ACTION][-1]
            parts[OBS_LAST_ACTION][-1] = torch.cat([last[:1], action[:-1]])
        episodes.append(torch.full((count,), index))
        steps.append(before)
    return Resampled({key: torch.cat(part) for key, part in parts.items()}, torch.cat(episodes), torch.cat(steps))
