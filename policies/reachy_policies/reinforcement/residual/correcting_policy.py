"""A residual policy that acts in many environments with chosen corrections, and keeps its episodes for the memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lerobot.utils.constants import OBS_ENV_STATE, OBS_STATE
from torch import Tensor

from reachy_kit.runtime.recording.schema import OBS_LAST_ACTION
from reachy_policies.models.residual import ReachyResidualPolicy
from reachy_policies.models.residual.frozen_base import Batch
from reachy_policies.reinforcement.residual.replay_memory import Episodes
from reachy_policies.rollouts.network_inputs import Observations

type Choose = Callable[[Observations, Tensor, Tensor], Tensor]
"""Observation, features (N, F) and the base's action (N, A) → (N, axes) corrections in [−1, 1]."""
_KEYS = ((OBS_STATE, "agent_pos"), (OBS_ENV_STATE, "environment_state"), (OBS_LAST_ACTION, "last_action"))


class CorrectingPolicy:
    """A ``BatchPolicy``: the base, corrected as ``choose`` says.

    Args:
        policy: the residual.
        choose: returns the corrections.
    """

    def __init__(self, policy: ReachyResidualPolicy, choose: Choose) -> None:
        self._policy, self._choose = policy, choose

    def reset(self) -> None:
        """Forget the episodes before."""
        self._policy.reset()
        self._observed: list[Batch] = []
        self._base_actions: list[Tensor] = []
        self._corrections: list[Tensor] = []

    def act(self, observation: Observations) -> npt.NDArray[Any]:
        """The corrected action, (N, 9)."""
        network, (window, base_action) = self._policy.network, self._observe(observation)
        correction = self._choose(observation, network.features(*window, base_action), base_action)
        self._corrections.append(correction)
        return np.asarray(network.corrected(base_action, correction).numpy())

    def episodes(self, end: Observations, rewards: list[Tensor]) -> Episodes:
        """The episodes since the reset.

        Args:
            end: last observation of each episode; the base acts on it too.
            rewards: (N,) per decision.
        """
        self._observe(end)
        state, environment_state, last_action = (
            torch.stack([batch[key] for batch in self._observed], dim=1) for key, _ in _KEYS
        )
        return Episodes(
            state,
            environment_state,
            last_action,
            torch.stack(self._base_actions, dim=1),
            torch.stack(self._corrections, dim=1),
            torch.stack(rewards, dim=1),
        )

    def _observe(self, observation: Observations) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Window of the residual network, and the base's action."""
        batch = {key: torch.from_numpy(np.asarray(observation[name], dtype=np.float32)) for key, name in _KEYS}
        base_action = self._policy.base.act(batch)
        self._observed.append(batch)
        self._base_actions.append(base_action)
        return self._policy.observe(batch), base_action
