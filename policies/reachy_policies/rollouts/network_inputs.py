"""A chunk network's inputs from the observations of N environments."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reachy_kit.runtime.inference.history import ObservationHistory
from reachy_policies.data.image_tensors import resize_images

type Floats = npt.NDArray[np.float32]
type Observations = Mapping[str, npt.NDArray[Any]]
"""Observations of N environments, by Gymnasium's keys."""


def batch_inputs(
    observation: Observations, image_shape: Sequence[int] | None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Arguments of ``ObservationHistory.append`` for N environments.

    Args:
        observation: of the environments.
        image_shape: channels, rows and columns, for a policy that takes images; None for one that takes features.

    Returns:
        (N, A) poses; (N, K) features, or (N, C·H·W) uint8 images; (N, A) actions in force.
    """
    if image_shape is None:
        sensed = observation["environment_state"]
    else:
        sensed = resize_images(observation["pixels"], image_shape[1:]).flatten(1).numpy()
    return observation["agent_pos"], sensed, observation["last_action"]


def window_tensors(history: ObservationHistory) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs of a network, (N, T, A), (N, S, K) and (N, A), with S = T for features and 2 for images."""
    state, sensed, last_action = history.inputs()
    return torch.from_numpy(state), torch.from_numpy(sensed), torch.from_numpy(last_action)


def flat_window(history: ObservationHistory) -> Floats:
    """Window as rows (N, T·A + S·K + A), float32, oldest first: poses, features or images, the action in force."""
    parts = [part.reshape(len(part), -1) for part in history.inputs()]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def split_window(flat: Tensor, n_obs_steps: int, sensed_steps: int, action_dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T·A + S·K + A) of ``flat_window`` → (B, T, A), (B, S, K), (B, A)."""
    states = n_obs_steps * action_dim
    state, sensed, last = flat.split([states, flat.shape[1] - states - action_dim, action_dim], dim=1)
    return state.unflatten(1, (n_obs_steps, -1)), sensed.unflatten(1, (sensed_steps, -1)), last
