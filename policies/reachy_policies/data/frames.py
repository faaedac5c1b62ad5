"""Recorded frames as LeRobot's policies take them: each with the neighbouring steps that a policy needs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from lerobot.configs import PreTrainedConfig
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import Tensor

from reachy_kit.runtime.recording.schema import IMAGE
from reachy_policies.data.demonstrations import Demonstrations
from reachy_policies.data.image_tensors import make_augmentation, resize_image_tensors
from reachy_policies.data.recorded_videos import RecordedVideos
from reachy_policies.data.windows import episode_edges, steps_around


class Frames(torch.utils.data.Dataset[dict[str, Any]]):
    """A dataset's frames by their index.

    Numbers come from memory, for LeRobot's tables take 8 ms per frame; images come through LeRobot from its videos.

    Args:
        demonstrations: the numbers.
        config: of the policy, complete.
        augment: whether to augment the images.
    """

    def __init__(self, demonstrations: Demonstrations, config: PreTrainedConfig, *, augment: bool) -> None:
        inputs = config.input_features or {}
        known = {OBS_STATE: demonstrations.state, OBS_ENV_STATE: demonstrations.environment_state}
        self._columns = {key: known[key] for key in known if key in inputs}
        self._action, self._episode = demonstrations.action, demonstrations.episode
        self._demonstrated = demonstrations.demonstrated_frames
        self._before, self._after = config.observation_delta_indices, config.action_delta_indices or [0]
        self._demonstrations = replace(demonstrations, images=None)
        self._videos = None
        if IMAGE in inputs:
            self._videos = RecordedVideos(*demonstrations.roots, camera=demonstrations.camera)
            self._size = list(inputs[IMAGE].shape[1:])
        self._augment = make_augmentation() if augment and self._videos is not None else None

    def __len__(self) -> int:
        return len(self._episode)

    def __getitem__(self, frame: int) -> dict[str, Any]:
        """LeRobot's item: a time axis where the policy takes several steps, and a mask of those outside the episode."""
        item: dict[str, Any] = {"task": self._demonstrations.instruction(int(self._episode[frame]))}
        rows, outside = self._steps(frame, self._before or [0])
        for key, column in self._columns.items():
            item[key] = column[rows] if self._before is not None else column[frame]
            item[f"{key}_is_pad"] = outside
        if self._videos is not None:
            episode = int(self._episode[frame])
            first = int(episode_edges(self._episode, torch.tensor([frame]))[0])
            recorded = self._demonstrations.recorded_steps
            steps = rows - first if recorded is None else recorded[rows]
            images = resize_image_tensors(self._videos.decode(episode, steps.tolist()), self._size)
            image = images if self._before is not None else images[0]
            item[IMAGE] = image if self._augment is None else self._augment(image)
            item[f"{IMAGE}_is_pad"] = outside
        rows, outside = self._steps(frame, self._after)
        item[ACTION], item[f"{ACTION}_is_pad"] = self._action[rows], outside | ~self._demonstrated[rows]
        return item

    def _steps(self, frame: int, offsets: Sequence[int]) -> tuple[Tensor, Tensor]:
        frames = torch.tensor([frame])
        rows, outside = steps_around(frames, offsets, *episode_edges(self._episode, frames))
        return rows[0], outside[0]
