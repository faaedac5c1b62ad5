"""stable-baselines3's PPO with our loss: what explores is rewarded, the rest stays near the imitation and smooth."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from torch import Tensor

from reachy_policies.reinforcement.ppo.actor_critic import ChunkActorCritic, kl_divergence, log_probability
from reachy_policies.reinforcement.ppo.chunk_noise import ChunkNoiseBasis
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig


@dataclass(frozen=True)
class Losses:
    """Means over an iteration's updates."""

    policy: float
    value: float
    anchor: float
    smooth: float
    kl: float
    """To the collecting policy, at the end."""
    kl_to_start: float
    """KL[π‖π0] on own states."""
    kl_from_start: float
    """KL[π0‖π] on own states."""
    epochs: int
    sigma: float
    """rad, the mean spread."""


class ChunkedPPO(PPO):
    """PPO over chunks.

    Args:
        config: ours; stable-baselines3's arguments follow from it.
        directions: along which chunks are varied.
        env: ``ChunkedEnvs``, maybe inside ``VecNormalize``.
        arguments: further ones of stable-baselines3's PPO.
    """

    policy: ChunkActorCritic

    def __init__(self, config: ReinforceConfig, directions: ChunkNoiseBasis, env: Any, **arguments: Any) -> None:
        self.reinforce, self._directions = config, directions
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
        """What ``train`` is in stable-baselines3: several epochs over the buffer."""
        config, policy, buffer = self.reinforce, self.policy, self.rollout_buffer
        noise_size = self._directions.size
        latent = torch.from_numpy(buffer.swap_and_flatten(buffer.actions))[:, :noise_size]
        old_log_probability = torch.from_numpy(buffer.swap_and_flatten(buffer.log_probs)).squeeze(-1)
        advantages = torch.from_numpy(buffer.swap_and_flatten(buffer.advantages)).squeeze(-1)
        returns = torch.from_numpy(buffer.swap_and_flatten(buffer.returns)).squeeze(-1)
        with torch.no_grad():
            seen = policy.seen(torch.from_numpy(buffer.swap_and_flatten(buffer.observations)))
            start = policy.prior.plan_from(policy.prior.inputs_from(seen.inputs), seen.pose)
            start_latent = self._directions.latent(start)
            old_mean, old_sigma = self._directions.latent(policy.plan(seen)), policy.sigma.clone()
        start_sigma = torch.full_like(old_sigma, config.sigma)
        spread = policy.actor.offset_std
        sums: dict[str, list[float]] = {name: [] for name in ("policy", "value", "anchor", "smooth")}
        divergence = 0.0
        for epochs in range(1, config.epochs + 1):  # noqa: B007  (told below)
            for rows in torch.randperm(len(returns)).split(config.batch_size):
                some = seen.at(rows)
                value_loss = (policy.values(some) - returns[rows]).square().mean()
                loss = 0.5 * value_loss
                sums["value"].append(value_loss.item())
                if not critic_only:
                    inputs = policy.actor.inputs_from(some.inputs)
                    plan = policy.actor.plan_from(inputs, some.pose)
                    mean, sigma = self._directions.latent(plan), policy.sigma
                    ratio = (log_probability((latent[rows] - mean) / sigma, sigma) - old_log_probability[rows]).exp()
                    gain = advantages[rows]
                    gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                    clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
                    policy_loss = -torch.minimum(gain * ratio, gain * clipped).mean()
                    anchor = (self._directions.beside(plan - start[rows]) / spread).square().mean()
                    smooth = jerk_penalty(plan, some.last, spread)
                    loss = loss + policy_loss + config.anchor * anchor + config.smooth * smooth
                    loss = loss + config.name * policy.auxiliary_feature_loss(inputs, some)
                    if config.kl:
                        loss = loss + config.kl * kl_divergence(mean, sigma, start_latent[rows], start_sigma).mean()
                    for name, part in (("policy", policy_loss), ("anchor", anchor), ("smooth", smooth)):
                        sums[name].append(part.item())
                policy.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
                policy.optimizer.step()
            if critic_only:
                continue
            with torch.no_grad():
                mean = self._directions.latent(policy.plan(seen))
                divergence = kl_divergence(old_mean, old_sigma, mean, policy.sigma).mean().item()
            if divergence > config.kl_stop:
                break
        with torch.no_grad():
            now, begun = (self._directions.latent(policy.plan(seen)), policy.sigma), (start_latent, start_sigma)
            ahead, behind = (kl_divergence(*a, *b).mean().item() for a, b in ((now, begun), (begun, now)))
        return Losses(
            **{name: float(np.mean(values)) if values else 0.0 for name, values in sums.items()},
            kl=divergence,
            kl_to_start=ahead,
            kl_from_start=behind,
            epochs=epochs,
            sigma=policy.sigma.mean().item(),
        )


def jerk_penalty(plan: Tensor, last: Tensor, spread: Tensor) -> Tensor:
    """Mean squared third difference of a plan that goes on from the action in force, in multiples of the spread."""
    path = torch.cat([last[:, None], plan], dim=1)
    third = path.diff(n=3, dim=1) if path.shape[1] > 3 else path.diff(n=1, dim=1)
    return (third / spread[:1]).square().mean()
