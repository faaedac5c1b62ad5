"""The compact chunk policy's network: two layers that plan offsets from the measured pose.

In a prototype, absolute outputs did not learn by reinforcement and imitated worse (42 % against 57 %), so the network
predicts where to go *relative to where the robot is*, and adds the pose itself.
"""

import torch
from torch import Tensor, nn

from reachy_policies.models.chunk.configuration_chunk import ReachyChunkConfig

TINY = 5e-3
"""Floor of a standard deviation, m, rad or s: inputs that hardly vary would otherwise be amplified."""


class ChunkNetwork(nn.Module):
    """Observations → Gaussian over a chunk of absolute actions; normalisation inside, so that it exports as one graph.

    Args:
        config: sizes of the network.
        action_dim: A, also the size of the state.
        env_dim: K, features of ``environment_state``.
    """

    input_mean: Tensor
    input_std: Tensor
    offset_mean: Tensor
    offset_std: Tensor

    def __init__(self, config: ReachyChunkConfig, action_dim: int, env_dim: int) -> None:
        super().__init__()
        self.chunk_size, self.action_dim = config.chunk_size, action_dim
        inputs = config.n_obs_steps * (action_dim + env_dim) + action_dim
        self.register_buffer("input_mean", torch.zeros(inputs))
        self.register_buffer("input_std", torch.ones(inputs))
        self.register_buffer("offset_mean", torch.zeros(config.chunk_size, action_dim))
        self.register_buffer("offset_std", torch.ones(config.chunk_size, action_dim))
        self.body = nn.Sequential(
            nn.Linear(inputs, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.chunk_size * action_dim),
        )
        self.log_std = nn.Parameter(torch.zeros(config.chunk_size, action_dim))
        self.min_log_std, self.motion_noise = config.min_log_std, config.motion_noise
        self.latest = action_dim + env_dim
        self.sensed_steps = config.n_obs_steps

    def features(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> Tensor:
        """The latest observation, its changes since earlier ones, and the command's lead over the pose.

        Changes stand beside values because a change of a thousandth of a radian drowns in the value's own range.

        Args:
            state: (B, T, A) m and rad, oldest first.
            environment_state: (B, T, K).
            last_action: (B, A).

        Returns:
            (B, T·(A + K) + A), not yet normalised.
        """
        observed = torch.cat([state, environment_state], dim=-1)
        changes = (observed[:, -1:] - observed[:, :-1]).flatten(1)
        return torch.cat([observed[:, -1], changes, last_action - state[:, -1]], dim=-1)

    def fit_normalisation(self, state: Tensor, environment_state: Tensor, last_action: Tensor, action: Tensor) -> None:
        """Compute means and deviations over the whole training set; shapes as in ``features``, action (B, chunk, A)."""
        features = self.features(state, environment_state, last_action)
        offsets = action - state[:, -1:]
        self.input_mean.copy_(features.mean(0))
        self.input_std.copy_(features.std(0).clamp_min(TINY))
        self.offset_mean.copy_(offsets.mean(0))
        self.offset_std.copy_(offsets.std(0).clamp_min(TINY))

    def normalised(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> Tensor:
        """``features`` in the demonstrations' standard deviations."""
        return (self.features(state, environment_state, last_action) - self.input_mean) / self.input_std

    def plan(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> Tensor:
        """Mean chunk (B, chunk, A) of absolute actions."""
        mean, _ = self.gaussian(state, environment_state, last_action)
        return self._from_pose(state[:, -1:], mean)

    def plan_from(self, inputs: Tensor, pose: Tensor) -> Tensor:
        """``plan`` from the body's inputs, (B, inputs), and poses, (B, A)."""
        return self._from_pose(pose[:, None], self.body(inputs).unflatten(-1, (self.chunk_size, self.action_dim)))

    def inputs_from(self, normalised: Tensor) -> Tensor:
        """Inputs of the body; here the normalised features themselves."""
        return normalised

    def auxiliary_feature_loss(self, inputs: Tensor, environment_state: Tensor) -> Tensor:
        """Error of a vision network's predicted features; 0 here, where the features are inputs."""
        return inputs.new_zeros(())

    def _from_pose(self, pose: Tensor, offsets: Tensor) -> Tensor:
        return pose + self.offset_mean + self.offset_std * offsets

    def gaussian(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, chunk, A) and log-deviation (chunk, A) of the normalised offsets."""
        return self.gaussian_from(self.inputs_from(self.normalised(state, environment_state, last_action)))

    def gaussian_from(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """``gaussian`` from the body's inputs, (B, inputs)."""
        if self.training:
            latest, motion = features.split([self.latest, features.shape[-1] - self.latest], dim=-1)
            features = torch.cat([latest, motion + self.motion_noise * torch.randn_like(motion)], dim=-1)
        hidden = self.body(features)
        return hidden.unflatten(-1, (self.chunk_size, self.action_dim)), self.log_std.clamp_min(self.min_log_std)

    def forward(self, state: Tensor, environment_state: Tensor, last_action: Tensor, noise: Tensor) -> Tensor:
        """A chunk of absolute actions.

        Args:
            state: (B, T, A).
            environment_state: (B, T, K).
            last_action: (B, A).
            noise: (B, chunk, A) standard normal for a sample, zeros for the mean.

        Returns:
            (B, chunk, A) m and rad.
        """
        mean, log_std = self.gaussian(state, environment_state, last_action)
        offsets = self.offset_mean + self.offset_std * (mean + log_std.exp() * noise)
        return state[:, -1:] + offsets
