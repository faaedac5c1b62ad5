"""Actor and critic as stable-baselines3 wants them: the chunk policy's network, its frozen start, and a value."""

from typing import Any, NamedTuple

import torch
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from reachy_policies.chunk.modeling_chunk import ChunkNetwork
from reachy_policies.chunk.window import parts_of
from reachy_policies.reinforce.configuration import ReinforceConfig
from reachy_policies.reinforce.exploration import Directions

_LOG_2PI = 1.8378770664093453


class Seen(NamedTuple):
    """Windows as the networks want them; B of them."""

    inputs: Tensor
    """(B, inputs) normalised."""
    pose: Tensor
    """(B, A) the latest."""
    last: Tensor
    """(B, A) the action in force."""

    def at(self, rows: Tensor) -> "Seen":
        """Some of them."""
        return Seen(*(part[rows] for part in self))


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
        directions: Directions,
        n_obs_steps: int,
        config: ReinforceConfig,
        **unused: Any,
    ) -> None:
        super().__init__(observation_space, action_space)
        self.actor, self.prior = actor.eval(), prior.eval().requires_grad_(False)
        self._directions, self._n_obs_steps, self._config = directions, n_obs_steps, config
        self.log_sigma = nn.Parameter(torch.full((directions.size,), config.sigma).log())
        inputs, hidden = actor.input_mean.shape[0], 128
        self.critic = nn.Sequential(
            nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1)
        )
        self.optimizer = torch.optim.Adam(
            [
                {"params": [*actor.body.parameters(), self.log_sigma], "lr": config.lr},
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
        state, features, last = parts_of(flat, self._n_obs_steps, self.actor.action_dim)
        return Seen(self.actor.normalised(state, features, last), state[:, -1], last)

    def plan(self, seen: Seen) -> Tensor:
        """(B, C, A) the mean plan, absolute targets."""
        return self.actor.plan_from(seen.inputs, seen.pose)

    def values(self, seen: Seen) -> Tensor:
        """(B,) what is to be gained from here on."""
        value: Tensor = self.critic(seen.inputs).squeeze(-1)
        return value

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
