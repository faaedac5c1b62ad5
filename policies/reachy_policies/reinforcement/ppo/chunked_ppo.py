"""stable-baselines3's PPO with our loss: axes that explore follow the reward, the rest stays near the imitation."""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3 import PPO
from torch import Tensor

from reachy_policies.reinforcement.ppo.actor_critic import (
    ChunkActorCritic,
    PolicyInputs,
    kl_divergence,
    log_probability,
)
from reachy_policies.reinforcement.ppo.chunk_noise import ChunkNoiseBasis
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig

type Gaussian = tuple[Tensor, Tensor]
"""(B, L) means and (L,) spreads of latents."""


@dataclass(frozen=True)
class Losses:
    """Means over an iteration's updates."""

    policy: float
    value: float
    anchor: float
    smooth: float
    kl: float
    """KL divergence to the collecting policy at the end."""
    kl_to_start: float
    """KL[π‖π0] on the policy's own states."""
    kl_from_start: float
    """KL[π0‖π] on the policy's own states."""
    epochs: int
    sigma: float
    """Mean spread, rad."""


class _Rollout(NamedTuple):
    """A rollout of B chunks."""

    windows: PolicyInputs
    latent: Tensor
    """(B, L) latents as drawn."""
    log_probability: Tensor
    """(B,) log-probabilities of the latents when they were drawn."""
    advantages: Tensor
    """(B,) advantages."""
    returns: Tensor
    """(B,) discounted returns."""
    start: Tensor
    """(B, C, A) mean plans of the imitation."""
    start_latent: Tensor
    """(B, L) latents of the imitation's plans."""

    def select(self, rows: Tensor) -> "_Rollout":
        """Chunks at the given rows."""
        windows, *tensors = self
        assert isinstance(windows, PolicyInputs)
        return _Rollout(windows.select(rows), *(tensor[rows] for tensor in tensors))


class ChunkedPPO(PPO):
    """PPO over chunks.

    Args:
        config: our settings, from which stable-baselines3's arguments follow.
        basis: directions along which chunks are varied.
        env: ``ChunkedEnvs``, maybe inside ``VecNormalize``.
        arguments: further arguments of stable-baselines3's PPO.
    """

    policy: ChunkActorCritic

    def __init__(self, config: ReinforceConfig, basis: ChunkNoiseBasis, env: Any, **arguments: Any) -> None:
        self.reinforce, self._basis = config, basis
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You have specified a mini-batch size")  # the last may be shorter
            super().__init__(
                ChunkActorCritic,
                env,
                gamma=config.gamma,
                gae_lambda=config.gae_lambda,
                clip_range=config.clip,
                batch_size=config.batch_size,
                n_epochs=config.epochs,
                device="cpu",
                **arguments,
            )

    def learn_from_rollout(self, *, critic_only: bool) -> Losses:
        """Run several epochs over the buffer, as ``train`` does in stable-baselines3."""
        config, rollout = self.reinforce, self._rollout()
        collecting = self._gaussian(rollout)
        start = rollout.start_latent, torch.full_like(collecting[1], config.sigma)
        sums: dict[str, list[float]] = {name: [] for name in ("policy", "value", "anchor", "smooth")}
        divergence = 0.0
        for epochs in range(1, config.epochs + 1):  # noqa: B007  (reported below)
            for rows in torch.randperm(len(rollout.returns)).split(config.batch_size):
                self._update(rollout.select(rows), start[1], sums, critic_only=critic_only)
            if critic_only:
                continue
            divergence = _mean_divergence(collecting, self._gaussian(rollout))
            if divergence > config.kl_stop:
                break
        now = self._gaussian(rollout)
        return Losses(
            **{name: float(np.mean(values)) if values else 0.0 for name, values in sums.items()},
            kl=divergence,
            kl_to_start=_mean_divergence(now, start),
            kl_from_start=_mean_divergence(start, now),
            epochs=epochs,
            sigma=self.policy.sigma.mean().item(),
        )

    @torch.no_grad()
    def _rollout(self) -> _Rollout:
        buffer, policy = self.rollout_buffer, self.policy
        names = ("observations", "actions", "log_probs", "advantages", "returns")
        parts = (torch.from_numpy(buffer.swap_and_flatten(getattr(buffer, name))) for name in names)
        observations, actions, log_probabilities, advantages, returns = parts
        windows = policy.policy_inputs(observations)
        start = policy.prior.plan_from(policy.prior.inputs_from(windows.inputs), windows.pose)
        return _Rollout(
            windows,
            actions[:, : self._basis.size],
            log_probabilities.squeeze(-1),
            advantages.squeeze(-1),
            returns.squeeze(-1),
            start,
            self._basis.latent(start),
        )

    @torch.no_grad()
    def _gaussian(self, rollout: _Rollout) -> Gaussian:
        """Distribution of latents under the current policy."""
        return self._basis.latent(self.policy.plan(rollout.windows)), self.policy.sigma.clone()

    def _update(self, batch: _Rollout, start_sigma: Tensor, sums: dict[str, list[float]], *, critic_only: bool) -> None:
        """Make one step of the optimizer; the parts of the loss are added to ``sums``."""
        policy = self.policy
        value_loss = (policy.values(batch.windows) - batch.returns).square().mean()
        loss = 0.5 * value_loss
        sums["value"].append(value_loss.item())
        if not critic_only:
            loss = loss + self._actor_loss(batch, start_sigma, sums)
        policy.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
        policy.optimizer.step()

    def _actor_loss(self, batch: _Rollout, start_sigma: Tensor, sums: dict[str, list[float]]) -> Tensor:
        config, policy, basis = self.reinforce, self.policy, self._basis
        spread = policy.actor.offset_std
        inputs = policy.actor.inputs_from(batch.windows.inputs)
        plan = policy.actor.plan_from(inputs, batch.windows.pose)
        mean, sigma = basis.latent(plan), policy.sigma
        ratio = (log_probability((batch.latent - mean) / sigma, sigma) - batch.log_probability).exp()
        gain = (batch.advantages - batch.advantages.mean()) / (batch.advantages.std() + 1e-8)
        clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
        policy_loss = -torch.minimum(gain * ratio, gain * clipped).mean()
        anchor = (basis.residue(plan - batch.start) / spread).square().mean()
        smooth = jerk_penalty(plan, batch.windows.last_action, spread)
        for name, part in (("policy", policy_loss), ("anchor", anchor), ("smooth", smooth)):
            sums[name].append(part.item())
        loss = policy_loss + config.anchor * anchor + config.smooth * smooth
        loss = loss + config.feature_loss * policy.auxiliary_feature_loss(inputs, batch.windows)
        if config.kl:
            loss = loss + config.kl * kl_divergence(mean, sigma, batch.start_latent, start_sigma).mean()
        return loss


@torch.no_grad()
def _mean_divergence(first: Gaussian, second: Gaussian) -> float:
    return kl_divergence(*first, *second).mean().item()


def jerk_penalty(plan: Tensor, last_action: Tensor, spread: Tensor) -> Tensor:
    """Mean squared third difference of a plan that continues from the action in force, in multiples of the spread."""
    path = torch.cat([last_action[:, None], plan], dim=1)
    third = path.diff(n=3, dim=1) if path.shape[1] > 3 else path.diff(n=1, dim=1)
    return (third / spread[:1]).square().mean()
