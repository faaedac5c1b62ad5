"""The last few observations of a batch of environments, as a chunk policy looks at them."""

from collections import deque
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

type Floats = npt.NDArray[np.float32]


class Window:
    """What N environments observed lately.

    Args:
        n_obs_steps: T, how many observations.
    """

    def __init__(self, n_obs_steps: int) -> None:
        self._states: deque[Floats] = deque(maxlen=n_obs_steps)
        self._features: deque[Floats] = deque(maxlen=n_obs_steps)

    def begin(self, observation: Mapping[str, Floats]) -> None:
        """New episodes in all environments: their first observation counts as all before it."""
        for _ in range(self._states.maxlen or 0):
            self.note(observation)

    def note(self, observation: Mapping[str, Floats]) -> None:
        """Another observation of each."""
        self._states.append(observation["agent_pos"])
        self._features.append(observation["environment_state"])
        self._last = observation["last_action"]

    def flat(self) -> Floats:
        """(N, T·(A + K) + A), oldest first: states, features, the action in force."""
        return np.concatenate([*self._states, *self._features, self._last], axis=1)

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """(N, T, A), (N, T, K), (N, A)."""
        states, features = (np.stack(list(part), axis=1) for part in (self._states, self._features))
        return torch.from_numpy(states), torch.from_numpy(features), torch.from_numpy(self._last)


def parts_of(flat: Tensor, n_obs_steps: int, action_dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T·(A + K) + A) → (B, T, A), (B, T, K), (B, A)."""
    states = n_obs_steps * action_dim
    state, features, last = flat.split([states, flat.shape[1] - states - action_dim, action_dim], dim=1)
    return state.unflatten(1, (n_obs_steps, -1)), features.unflatten(1, (n_obs_steps, -1)), last
