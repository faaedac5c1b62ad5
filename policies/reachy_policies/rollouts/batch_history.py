"""The last few observations of a batch of environments, as a chunk policy looks at them."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reachy_policies.data.image_tensors import fitted

type Floats = npt.NDArray[np.float32]


class Window:
    """What N environments observed lately.

    Args:
        n_obs_steps: T, how many observations.
        picture: channels, rows and columns, for a policy that looks at pictures; None for one that looks at features.
    """

    def __init__(self, n_obs_steps: int, picture: Sequence[int] | None = None) -> None:
        self._states: deque[Floats] = deque(maxlen=n_obs_steps)
        self._sensed: deque[npt.NDArray[Any]] = deque(maxlen=n_obs_steps)
        self._picture = picture

    def begin(self, observation: Mapping[str, npt.NDArray[Any]]) -> None:
        """New episodes in all environments: their first observation counts as all before it."""
        for _ in range(self._states.maxlen or 0):
            self.note(observation)

    def note(self, observation: Mapping[str, npt.NDArray[Any]]) -> None:
        """Another observation of each."""
        self._states.append(observation["agent_pos"])
        if self._picture is None:
            self._sensed.append(observation["environment_state"])
        else:
            self._sensed.append(fitted(observation["pixels"], self._picture[1:]).flatten(1).numpy())
        self._last = observation["last_action"]

    def flat(self) -> Floats:
        """(N, T·A + S·K + A), oldest first: states, what was sensed, the action in force."""
        return np.concatenate([*self._states, *self._looked_at, self._last], axis=1, dtype=np.float32)

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """(N, T, A), (N, S, K), (N, A): S = T features, or the first and the last picture, 0 to 255."""
        states, sensed = (np.stack(part, axis=1) for part in (list(self._states), self._looked_at))
        return torch.from_numpy(states), torch.from_numpy(sensed), torch.from_numpy(self._last)

    @property
    def _looked_at(self) -> list[npt.NDArray[Any]]:
        return list(self._sensed) if self._picture is None else [self._sensed[0], self._sensed[-1]]


def parts_of(flat: Tensor, n_obs_steps: int, sensed_steps: int, action_dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T·A + S·K + A) → (B, T, A), (B, S, K), (B, A)."""
    states = n_obs_steps * action_dim
    state, sensed, last = flat.split([states, flat.shape[1] - states - action_dim, action_dim], dim=1)
    return state.unflatten(1, (n_obs_steps, -1)), sensed.unflatten(1, (sensed_steps, -1)), last
