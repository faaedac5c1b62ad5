"""The compact chunk policy: a two-layer network that plans offsets from the measured pose.

Absolute outputs learned nothing by exploration in a prototype and imitated worse (42 % against 57 %), so the network
predicts where to go *relative to where the robot is*, and adds the pose itself.
"""

from collections import deque
from typing import Any

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import Tensor, nn

from reachy_kit.runner import Ensemble
from reachy_policies.chunk.configuration_chunk import OBS_LAST_ACTION, ReachyChunkConfig

_TINY = 5e-3
"""Floor of a standard deviation, in m, rad or s: what hardly varies in the demonstrations must not blow up later."""


class ChunkNetwork(nn.Module):
    """Observations → Gaussian over a chunk of absolute actions; normalisation inside, so that it exports as one graph.

    Args:
        config: sizes.
        action_dim: A, also the size of the state.
        env_dim: K, features of ``environment_state``.
    """

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

    def features(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> Tensor:
        """What the network looks at: the latest observation, its changes since earlier ones, and the command's lead.

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
        """Take means and deviations from the whole training set; shapes as in ``features``, action (B, chunk, A)."""
        features = self.features(state, environment_state, last_action)
        offsets = action - state[:, -1:]
        self.input_mean.copy_(features.mean(0))
        self.input_std.copy_(features.std(0).clamp_min(_TINY))
        self.offset_mean.copy_(offsets.mean(0))
        self.offset_std.copy_(offsets.std(0).clamp_min(_TINY))

    def normalised(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> Tensor:
        """``features`` in the demonstrations' standard deviations."""
        return (self.features(state, environment_state, last_action) - self.input_mean) / self.input_std

    def plan(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> Tensor:
        """(B, chunk, A) the mean chunk of absolute actions."""
        mean, _ = self.gaussian(state, environment_state, last_action)
        return self._from_pose(state[:, -1:], mean)

    def plan_from(self, normalised: Tensor, pose: Tensor) -> Tensor:
        """``plan`` of inputs that are normalised already, (B, inputs), and poses, (B, A)."""
        return self._from_pose(pose[:, None], self.body(normalised).unflatten(-1, (self.chunk_size, self.action_dim)))

    def _from_pose(self, pose: Tensor, offsets: Tensor) -> Tensor:
        return pose + self.offset_mean + self.offset_std * offsets

    def gaussian(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, chunk, A) and log-deviation (chunk, A) of the normalised offsets."""
        features = self.normalised(state, environment_state, last_action)
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


class ReachyChunkPolicy(PreTrainedPolicy):
    """The network behind LeRobot's policy interface."""

    config_class = ReachyChunkConfig
    name = "reachy_chunk"

    def __init__(self, config: ReachyChunkConfig, **kwargs: Any) -> None:
        super().__init__(config)
        config.validate_features()
        action, env = config.output_features[ACTION], config.input_features[OBS_ENV_STATE]
        self.network = ChunkNetwork(config, action.shape[0], env.shape[0])
        self.reset()

    def get_optim_params(self) -> list[nn.Parameter]:
        """Everything learns."""
        return list(self.parameters())

    def reset(self) -> None:
        """Forget the episode before."""
        self._seen: deque[dict[str, Tensor]] = deque(maxlen=self.config.n_obs_steps)
        self._plan: deque[Tensor] = deque()
        coefficient = self.config.temporal_ensemble_coeff
        self._ensemble = None if coefficient is None else Ensemble(coefficient, self.config.chunk_size)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Negative log-likelihood of the demonstrated chunk, per number; padding past an episode's end does not count.

        Args:
            batch: LeRobot's, with ``observation_delta_indices`` and ``action_delta_indices`` applied.
        """
        state, env, last = self._inputs(batch)
        network = self.network
        mean, log_std = network.gaussian(state, env, last)
        wanted = (batch[ACTION] - state[:, -1:] - network.offset_mean) / network.offset_std
        loss = 0.5 * ((wanted - mean) * (-log_std).exp()) ** 2 + log_std
        real = torch.ones_like(wanted[..., 0]) if "action_is_pad" not in batch else (~batch["action_is_pad"]).float()
        weight = (real / (real.sum() * wanted.shape[-1]))[..., None]
        error = (wanted - mean).detach().abs() * network.offset_std
        return (loss * weight).sum(), {"error": (error * weight).sum().item()}

    def predict_action_chunk(self, batch: dict[str, Tensor], noise: Tensor | None = None, **kwargs: Any) -> Tensor:
        """(B, chunk, A) absolute actions; the mean, unless noise (B, chunk, A) is given."""
        state, env, last = self._inputs(batch)
        if noise is None:
            noise = state.new_zeros(len(state), self.config.chunk_size, self.network.action_dim)
        return self.network(state, env, last, noise)

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **kwargs: Any) -> Tensor:
        """(B, A) the next action; plans anew every ``n_action_steps``. Call it once a step with single observations."""
        self._seen.append({key: batch[key] for key in (OBS_STATE, OBS_ENV_STATE)})
        if not self._plan:
            seen = [self._seen[0]] * (self.config.n_obs_steps - len(self._seen)) + list(self._seen)
            window = {key: torch.stack([one[key] for one in seen], dim=1) for key in (OBS_STATE, OBS_ENV_STATE)}
            chunk = self.predict_action_chunk({**window, OBS_LAST_ACTION: batch[OBS_LAST_ACTION]}, **kwargs)
            if self._ensemble is not None:
                return torch.from_numpy(self._ensemble.update(chunk.cpu().numpy())).to(chunk.device)
            self._plan.extend(chunk[:, : self.config.n_action_steps].unbind(1))
        return self._plan.popleft()

    def _inputs(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        last = batch[OBS_LAST_ACTION]
        return batch[OBS_STATE], batch[OBS_ENV_STATE], last[:, -1] if last.ndim == 3 else last
