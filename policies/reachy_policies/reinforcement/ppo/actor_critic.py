"""Actor and critic for stable-baselines3: the chunk policy's network, its frozen start, and a value."""

from typing import Any, NamedTuple

import torch
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from reachy_policies.models.chunk.chunk_network import ChunkNetwork
from reachy_policies.reinforcement.ppo.chunk_noise import ChunkNoiseBasis
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
from reachy_policies.rollouts.network_inputs import split_window

_LOG_2PI = 1.8378770664093453


class PolicyInputs(NamedTuple):
    """Inputs of the networks for B windows."""

    inputs: Tensor
    """(B, inputs) normalised inputs of the actor."""
    pose: Tensor
    """(B, A) latest pose."""
    last_action: Tensor
    """(B, A) action in force."""
    privileged: Tensor | None
    """(B, M) the critic's inputs where the actor takes images: the features in their place. None: the same."""
    features: Tensor | None
    """(B, K) latest features, which an actor that takes images learns to predict besides the plan."""

    def select(self, rows: Tensor) -> "PolicyInputs":
        """Windows at the given rows."""
        return PolicyInputs(*(None if part is None else part[rows] for part in self))  # type: ignore[arg-type]


class ChunkActorCritic(BasePolicy):
    """A Gaussian over the latent of a chunk, around the chunk network's plan.

    Args:
        observation_space: of ``ChunkedEnvs``.
        action_space: of ``ChunkedEnvs``.
        lr_schedule: stable-baselines3's; the rates come from the configuration.
        actor: the network that learns.
        prior: the imitation from which it started, frozen.
        basis: directions along which it explores.
        n_obs_steps: T.
        privileged: normalises the features for the critic of an actor that takes images; None where both take the same.
        config: learning rates and spreads.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Any,
        *,
        actor: ChunkNetwork,
        prior: ChunkNetwork,
        basis: ChunkNoiseBasis,
        n_obs_steps: int,
        privileged: ChunkNetwork | None = None,
        config: ReinforceConfig,
        **unused: Any,
    ) -> None:
        super().__init__(observation_space, action_space)
        self.actor, self.prior = actor.eval(), prior.eval().requires_grad_(False)
        self._basis, self._n_obs_steps, self._config = basis, n_obs_steps, config
        self.log_sigma = nn.Parameter(torch.full((basis.size,), config.sigma).log())
        self.privileged = None if privileged is None else privileged.requires_grad_(False)
        inputs, hidden = (privileged or actor).input_mean.shape[0], 128
        self._critic_inputs = inputs
        self.critic = nn.Sequential(
            nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1)
        )
        learning = [value for name, value in actor.named_parameters() if name != "log_std"]
        self.optimizer = torch.optim.Adam(
            [
                {"params": [*learning, self.log_sigma], "lr": config.lr},
                {"params": self.critic.parameters(), "lr": config.critic_lr},
            ],
            foreach=True,
        )

    @property
    def sigma(self) -> Tensor:
        """Spread of the latent, (L,) rad, within its bounds."""
        return self.log_sigma.exp().clamp(self._config.sigma_low, self._config.sigma_high)

    def policy_inputs(self, flat: Tensor) -> PolicyInputs:
        """Inputs that actor, prior and critic share, from (B, width) rows; they all use the prior's normalisation."""
        steps, actions = self._n_obs_steps, self.actor.action_dim
        privileged = latest = None
        if self.privileged is not None:
            flat, rest = flat.split([flat.shape[1] - self._critic_inputs, self._critic_inputs], dim=1)
            state, features, last = split_window(rest, steps, steps, actions)
            privileged, latest = self.privileged.normalised(state, features, last), features[:, -1]
        state, sensed, last = split_window(flat, steps, self.actor.sensed_steps, actions)
        return PolicyInputs(self.actor.normalised(state, sensed, last), state[:, -1], last, privileged, latest)

    def plan(self, windows: PolicyInputs) -> Tensor:
        """Mean plan, (B, C, A) absolute targets."""
        return self.actor.plan_from(self.actor.inputs_from(windows.inputs), windows.pose)

    def values(self, windows: PolicyInputs) -> Tensor:
        """Values, (B,) expected discounted rewards."""
        value: Tensor = self.critic(windows.inputs if windows.privileged is None else windows.privileged).squeeze(-1)
        return value

    def auxiliary_feature_loss(self, inputs: Tensor, windows: PolicyInputs) -> Tensor:
        """Error of the features that an actor predicts from images; 0 for an actor that takes features."""
        features = windows.features
        return inputs.new_zeros(()) if features is None else self.actor.auxiliary_feature_loss(inputs, features)

    def predict_values(self, obs: Tensor) -> Tensor:
        """``values`` as stable-baselines3 expects them, (B, 1)."""
        return self.values(self.policy_inputs(obs)).unsqueeze(-1)

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Sample: (B, L + C·A) latent and chunk, (B, 1) values, (B,) log-probabilities."""
        windows = self.policy_inputs(obs)
        plan = self.plan(windows)
        mean, sigma = self._basis.latent(plan), self.sigma
        noise = torch.zeros_like(mean) if deterministic else torch.randn_like(mean)
        chunk = plan + self._basis.variation(sigma * noise)
        action = torch.cat([mean + sigma * noise, chunk.flatten(1)], dim=1)
        return action, self.values(windows).unsqueeze(-1), log_probability(noise, sigma)

    def _predict(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        return self.forward(observation, deterministic)[0]


def log_probability(noise: Tensor, sigma: Tensor) -> Tensor:
    """Log-probability (B,) of (B, L) standard normal numbers that were scaled by (L,)."""
    return -(0.5 * noise.square() + sigma.log() + 0.5 * _LOG_2PI).sum(-1)


def kl_divergence(mean: Tensor, sigma: Tensor, other_mean: Tensor, other_sigma: Tensor) -> Tensor:
    """KL divergence (B,) from one diagonal Gaussian to another, of (B, L) means and (L,) spreads."""
    ratio = sigma / other_sigma
    return (0.5 * (ratio.square() + ((mean - other_mean) / other_sigma).square() - 1) - ratio.log()).sum(-1)
