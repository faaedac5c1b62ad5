"""The residual's network: observations and the base's action → the corrected action."""

import torch
from torch import Tensor, nn

from reachy_kit.runtime.interface import ACTION_NAMES, ACTION_UNITS
from reachy_policies.models.chunk.chunk_network import TINY
from reachy_policies.models.residual.configuration_residual import ReachyResidualConfig

_METRES = 0.1
"""Correction of a position for one rad of ``alpha``, m."""


class ResidualNetwork(nn.Module):
    """Corrects the base's action within bounds; normalisation inside, so that it exports as one graph.

    The last layer begins at zero, so that an untrained network corrects nothing.

    Args:
        config: sizes, axes and bound.
        action_dim: A, also the size of the state.
        env_dim: K, features of ``environment_state``.
    """

    input_mean: Tensor
    input_std: Tensor
    reach: Tensor
    """(axes, A) m and rad: change of the action for a correction of one."""

    def __init__(self, config: ReachyResidualConfig, action_dim: int, env_dim: int) -> None:
        super().__init__()
        self.action_dim = action_dim
        self.inputs = config.n_obs_steps * (action_dim + env_dim) + 2 * action_dim
        self.register_buffer("input_mean", torch.zeros(self.inputs))
        self.register_buffer("input_std", torch.ones(self.inputs))
        reach = torch.zeros(len(config.axes), action_dim)
        for row, name in enumerate(config.axes):
            place = ACTION_NAMES.index(name)
            reach[row, place] = config.alpha * (1.0 if ACTION_UNITS[place] == "rad" else _METRES)
        self.register_buffer("reach", reach)
        last = nn.Linear(config.hidden, len(config.axes))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.body = nn.Sequential(
            nn.Linear(self.inputs, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            last,
        )

    def features(self, state: Tensor, environment_state: Tensor, last_action: Tensor, base_action: Tensor) -> Tensor:
        """The latest observation, its changes since earlier ones, and the leads of the command and of the base.

        Args:
            state: (B, T, A) m and rad, oldest first.
            environment_state: (B, T, K).
            last_action: (B, A).
            base_action: (B, A) the base's action now.

        Returns:
            (B, T·(A + K) + 2·A), not yet normalised.
        """
        observed = torch.cat([state, environment_state], dim=-1)
        changes = (observed[:, -1:] - observed[:, :-1]).flatten(1)
        pose = state[:, -1]
        return torch.cat([observed[:, -1], changes, last_action - pose, base_action - pose], dim=-1)

    def fit_normalisation(self, features: Tensor) -> None:
        """Compute means and deviations over (B, ·) ``features``."""
        self.input_mean.copy_(features.mean(0))
        self.input_std.copy_(features.std(0).clamp_min(TINY))

    def normalised(self, features: Tensor) -> Tensor:
        """``features`` in the standard deviations of the first episodes."""
        return (features - self.input_mean) / self.input_std

    def correction(self, normalised: Tensor) -> Tensor:
        """Correction from (B, ·) normalised features: (B, axes) in [−1, 1], shares of the reach."""
        return torch.tanh(self.body(normalised))

    def corrected(self, base_action: Tensor, correction: Tensor) -> Tensor:
        """(B, A) m and rad: the base's action, moved by (B, axes) shares of the reach."""
        return base_action + correction @ self.reach

    def forward(self, state: Tensor, environment_state: Tensor, last_action: Tensor, base_action: Tensor) -> Tensor:
        """(B, A) the action; arguments as in ``features``."""
        features = self.features(state, environment_state, last_action, base_action)
        return self.corrected(base_action, self.correction(self.normalised(features)))
