"""Actor and critic as stable-baselines3 wants them: the chunk policy's network, its frozen start, and a value."""

from typing import Any, NamedTuple

import torch
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from reachy_policies.models.chunk.chunk_network import ChunkNetwork
from reachy_policies.reinforcement.ppo.chunk_noise import ChunkNoiseBasis
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
from reachy_policies.rollouts.batch_history import parts_of

_LOG_2PI = 1.8378770664093453


class Seen(NamedTuple):
    """Windows as the networks want them; B of them."""

    inputs: Tensor
    """(B, inputs) normalised."""
    pose: Tensor
    """(B, A) the latest."""
    last: Tensor
    """(B, A) the action in force."""
    told: Tensor | None
    """(B, M) the critic's inputs where the actor looks at pictures: the features in their place. None: the same."""

    named: Tensor | None
    """(B, K) the latest features, which an actor that looks at pictures learns to name on the side."""

    def at(self, rows: Tensor) -> "Seen":
        """Some of them."""
        return Seen(*(None if part is None else part[rows] for part in self))  # type: ignore[arg-type]


class ChunkActorCritic(BasePolicy):
    """A Gaussian over the latent of a chunk, around the chunk network's plan.

    Args:
        observation_space: of ``ChunkedEnvs``.
        action_space: of ``ChunkedEnvs``.
        lr_schedule: stable-baselines3's; the rates come from the configuration.
        actor: learns.
        prior: the imitation it came from, frozen.
        directions: along which it explores.
        n_obs_steps: T.
        informed: scales the features for the critic of an actor that looks at pictures; None where both see the same.
        config: rates and spreads.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Any,
        *,
        actor: ChunkNetwork,
        prior: ChunkNetwork,
        directions: ChunkNoiseBasis,
        n_obs_steps: int,
        informed: ChunkNetwork | None = None,
        config: ReinforceConfig,
        **unused: Any,
    ) -> None:
        super().__init__(observation_space, action_space)
        self.actor, self.prior = actor.eval(), prior.eval().requires_grad_(False)
        self._directions, self._n_obs_steps, self._config = directions, n_obs_steps, config
        self.log_sigma = nn.Parameter(torch.full((directions.size,), config.sigma).log())
        self.informed = None if informed is None else informed.requires_grad_(False)
        inputs, hidden = (informed or actor).input_mean.shape[0], 128
        self._told = inputs
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
        """(L,) rad, within its bounds."""
        return self.log_sigma.exp().clamp(self._config.sigma_low, self._config.sigma_high)

    def seen(self, flat: Tensor) -> Seen:
        """What actor, prior and critic share of (B, width) windows: their normalisation is the start's."""
        steps, actions = self._n_obs_steps, self.actor.action_dim
        told = named = None
        if self.informed is not None:
            flat, features = flat.split([flat.shape[1] - self._told, self._told], dim=1)
            parts = parts_of(features, steps, steps, actions)
            told, named = self.informed.normalised(*parts), parts[1][:, -1]
        state, sensed, last = parts_of(flat, steps, self.actor.sensed_steps, actions)
        inputs = self.actor.normalised(state, sensed, last)
        return Seen(inputs, state[:, -1], last, told, named)

    def plan(self, seen: Seen) -> Tensor:
        """(B, C, A) the mean plan, absolute targets."""
        return self.actor.plan_from(self.actor.inputs_from(seen.inputs), seen.pose)

    def values(self, seen: Seen) -> Tensor:
        """(B,) what is to be gained from here on."""
        value: Tensor = self.critic(seen.inputs if seen.told is None else seen.told).squeeze(-1)
        return value

    def auxiliary_feature_loss(self, inputs: Tensor, seen: Seen) -> Tensor:
        """How wrong an actor that looks at pictures is about the features; 0 for one that is told them."""
        return inputs.new_zeros(()) if seen.named is None else self.actor.auxiliary_feature_loss(inputs, seen.named)

    def predict_values(self, obs: Tensor) -> Tensor:
        """(B, 1), as stable-baselines3 asks for them."""
        return self.values(self.seen(obs)).unsqueeze(-1)

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Sample: (B, L + C·A) latent and chunk, (B, 1) values, (B,) log-probabilities."""
        seen = self.seen(obs)
        plan = self.plan(seen)
        mean, sigma = self._directions.latent(plan), self.sigma
        noise = torch.zeros_like(mean) if deterministic else torch.randn_like(mean)
        chunk = plan + self._directions.varied(sigma * noise)
        action = torch.cat([mean + sigma * noise, chunk.flatten(1)], dim=1)
        return action, self.values(seen).unsqueeze(-1), log_probability(noise, sigma)

    def _predict(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        return self.forward(observation, deterministic)[0]


def log_probability(noise: Tensor, sigma: Tensor) -> Tensor:
    """(B,) of (B, L) standard normal numbers that were scaled by (L,)."""
    return -(0.5 * noise.square() + sigma.log() + 0.5 * _LOG_2PI).sum(-1)


def kl_divergence(mean: Tensor, sigma: Tensor, other_mean: Tensor, other_sigma: Tensor) -> Tensor:
    """(B,) KL from one diagonal Gaussian to another; (B, L) means, (L,) spreads."""
    ratio = sigma / other_sigma
    return (0.5 * (ratio.square() + ((mean - other_mean) / other_sigma).square() - 1) - ratio.log()).sum(-1)
