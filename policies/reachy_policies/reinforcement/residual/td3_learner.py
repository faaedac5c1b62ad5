"""TD3 on the bounded correction of a frozen policy, as a ``Learner``.

With an ensemble of critics, n-step returns, and a share of each batch from an expert that acted within the correction's
bounds. stable-baselines3 has TD3, but no place in it for the demonstrations' share, layer normalisation, a choice of
critics or smoothness: only the loop over the updates would be left of it.

Source: ResFiT (arXiv 2509.19301) and Policy Decorator (2412.13630); TD3 (1802.09477).
"""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import Tensor

from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.recording.schema import OBS_LAST_ACTION
from reachy_kit.runtime.seeds import demonstration_seeds, iteration_seeds
from reachy_policies.models.lerobot.inference import LeRobotBatchPolicy
from reachy_policies.models.residual import ReachyResidualConfig, ReachyResidualPolicy
from reachy_policies.models.residual import make_reachy_residual_pre_post_processors as make_processors
from reachy_policies.models.residual.frozen_base import FrozenBase
from reachy_policies.reinforcement.curriculum import Curriculum
from reachy_policies.reinforcement.residual.correcting_policy import Choose, CorrectingPolicy
from reachy_policies.reinforcement.residual.critics import Critics
from reachy_policies.reinforcement.residual.replay_memory import Episodes, ReplayMemory
from reachy_policies.reinforcement.residual.residual_config import ResidualConfig
from reachy_policies.rollouts.episode_batch import BatchPolicy, Envs, transitions
from reachy_policies.rollouts.network_inputs import Observations
from reachy_policies.runs.checkpoint import State, load_optimizer_state, optimizer_state

_TARGET_NOISE, _TARGET_CLIP = 0.1, 0.2
"""Target noise and its bound, shares of the reach; about half of TD3's 0.2 and 0.5, not tuned."""


class TD3Learner:
    """TD3 on a residual.

    Args:
        base: the policy that is corrected.
        curriculum: environments to act in.
        expert: acts in as many environments, by the first seed of the episodes; to be learned from as well.
        axes: indices of the axes that are corrected.
        config: settings.
    """

    def __init__(
        self,
        base: FrozenBase,
        curriculum: Curriculum,
        expert: Callable[[int], BatchPolicy],
        axes: list[int],
        config: ResidualConfig,
    ) -> None:
        torch.manual_seed(config.seed)
        self._curriculum, self._expert, self._config = curriculum, expert, config
        self._policy = ReachyResidualPolicy(_policy_config(curriculum.first, axes, config), base)
        self._policy.eval()
        self._actor = self._policy.network
        self._critics = Critics(config.critics, self._actor.inputs, len(axes), config.hidden)
        self._targets = copy.deepcopy(self._critics).requires_grad_(False)
        self._optimizer = torch.optim.Adam(
            [
                {"params": list(self._actor.parameters()), "lr": config.lr},
                {"params": list(self._critics.parameters()), "lr": config.critic_lr},
            ],
            foreach=True,
        )
        self._memory = ReplayMemory(
            config.memory, config.n_obs_steps, config.n_step, config.gamma, config.demonstration_share
        )
        self._steps = 0

    @property
    def env_steps(self) -> int:
        """Decisions of all environments so far, the expert's included."""
        return self._steps

    def train_iteration(self, iteration: int) -> dict[str, float]:
        """Run an episode in all environments, then make ``updates`` updates; before the first, collect the expert's."""
        config, envs = self._config, self._curriculum.at(iteration)
        if self._memory.own is None:
            self._collect_demonstrations()
        share = min(1.0, self._steps / config.ramp) if config.ramp else 1.0
        seeds = iteration_seeds(config.seed, iteration, envs.num_envs).start
        episodes, success = self._collect(envs, self._exploring(envs.num_envs, share), seeds)
        self._memory.add(episodes)
        losses = [self._update(actor=update % 2 == 1 and iteration > config.warmup) for update in range(config.updates)]
        return {
            "collected_reward": float(episodes.reward.mean()),
            "collected_success": float(success.mean()),
            "acting_share": share,
            "correction": float(episodes.correction.abs().mean()),
            "critic_loss": float(torch.stack(losses).mean()),
        }

    def _collect_demonstrations(self) -> None:
        """Collect the expert's episodes, within the correction's bounds; the first ones also normalise the inputs."""
        config, envs = self._config, self._curriculum.first
        for batch in range(config.demonstrations):
            seeds = demonstration_seeds(config.seed, batch, envs.num_envs).start
            episodes, _ = self._collect(envs, self._imitating(self._expert(seeds)), seeds)
            self._memory.add_demonstrations(episodes)
        first = iteration_seeds(config.seed, 0, envs.num_envs).start
        episodes = self._memory.demonstrations or self._collect(envs, self._exploring(envs.num_envs, 0.0), first)[0]
        pairs = torch.cartesian_prod(torch.arange(len(episodes)), torch.arange(episodes.reward.shape[1]))
        window = episodes.window(pairs[:, 0], pairs[:, 1], config.n_obs_steps)
        self._actor.fit_normalisation(self._actor.features(*window))

    def _imitating(self, expert: BatchPolicy) -> Choose:
        """Corrections that yield the expert's action, within their bounds."""
        expert.reset()
        reach = self._actor.reach.sum(1)
        axes = self._actor.reach.argmax(1)

        def choose(observation: Observations, features: Tensor, base_action: Tensor) -> Tensor:
            wanted = torch.from_numpy(np.asarray(expert.act(observation), dtype=np.float32))
            return ((wanted - base_action)[:, axes] / reach).clamp(-1, 1)

        return choose

    def _exploring(self, count: int, share: float) -> Choose:
        """The actor's correction in a share of the environments, and in all of them smooth noise around it."""
        config, actor = self._config, self._actor
        sigma, fresh = config.sigma / config.alpha, math.sqrt(1 - config.fade**2)
        acting = (torch.arange(count) < share * count).unsqueeze(1)
        noise = sigma * torch.randn(count, len(actor.reach))

        def choose(observation: Observations, features: Tensor, base_action: Tensor) -> Tensor:
            nonlocal noise
            noise = config.fade * noise + fresh * sigma * torch.randn_like(noise)
            return (acting * actor.correction(actor.normalised(features)) + noise).clamp(-1, 1)

        return choose

    @torch.no_grad()
    def _collect(self, envs: Envs, choose: Choose, seeds: int) -> tuple[Episodes, npt.NDArray[np.bool_]]:
        """Collect one whole episode in each environment, and whether it succeeded."""
        acting, rewards = CorrectingPolicy(self._policy, choose), []
        for transition in transitions(envs, acting, seeds):
            rewards.append(torch.from_numpy(np.asarray(transition.reward, dtype=np.float32)))
        self._steps += len(rewards) * envs.num_envs
        episodes = acting.episodes(transition.next_observation, rewards)
        return episodes, np.asarray(transition.info["is_success"])

    def _update(self, *, actor: bool) -> Tensor:
        """Update the critics and, if requested, the actor; returns the critics' loss."""
        config, learned, critics = self._config, self._actor, self._critics
        batch = self._memory.sample(config.batch_size, learned.features)
        features, next_features, n_step_features = (
            learned.normalised(raw) for raw in (batch.features, batch.next_features, batch.n_step_features)
        )
        with torch.no_grad():
            noise = (_TARGET_NOISE * torch.randn_like(batch.correction)).clamp(-_TARGET_CLIP, _TARGET_CLIP)
            later = self._targets(n_step_features, (learned.correction(n_step_features) + noise).clamp(-1, 1))
            pair = later[torch.randperm(config.critics)[:2]].amin(0)
            # Values are in rewards per decision, so that weights and rates do not depend on the discount.
            target = (1 - config.gamma) * batch.reward + batch.discount * pair
        loss: Tensor = (critics(features, batch.correction) - target).square().mean(1).sum()
        self._minimise(loss, list(critics.parameters()))
        with torch.no_grad():
            torch._foreach_lerp_(list(self._targets.parameters()), list(critics.parameters()), config.polyak)
        if actor:
            correction = learned.correction(features)
            change = (learned.correction(next_features) - correction).square().sum(1).mean()
            value = critics(features, correction).mean()
            self._minimise(config.smooth * change - value, list(learned.parameters()))
        return loss.detach()

    def _minimise(self, loss: Tensor, parameters: list[torch.nn.Parameter]) -> None:
        self._optimizer.zero_grad()
        loss.backward(inputs=parameters)
        self._optimizer.step()

    def eval_policy(self) -> BatchPolicy:
        """The corrected policy, without noise."""
        return LeRobotBatchPolicy(self._policy, make_processors(self._policy.config), "")

    def policy(self) -> ReachyResidualPolicy:
        """A LeRobot policy with these weights, over the same base."""
        policy = ReachyResidualPolicy(self._policy.config, self._policy.base)
        policy.network.load_state_dict(self._actor.state_dict())
        policy.eval()
        return policy

    def state_dict(self) -> dict[str, Any]:
        """Weights, Adam's moments and learning rates, decisions, and the memory, which cannot be collected again."""
        return {
            "actor": self._actor.state_dict(),
            "critics": self._critics.state_dict(),
            "targets": self._targets.state_dict(),
            "optimizer": optimizer_state(self._optimizer),
            "memory": self._memory.state_dict(),
            "env_steps": self._steps,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a checkpoint."""
        self._actor.load_state_dict(state["actor"])
        self._critics.load_state_dict(state["critics"])
        self._targets.load_state_dict(state["targets"])
        load_optimizer_state(self._optimizer, state["optimizer"])
        self._memory.load_state_dict(state["memory"])
        self._steps = state["env_steps"]

    def halve_learning_rates(self) -> None:
        """Halve the learning rates."""
        for group in self._optimizer.param_groups:
            group["lr"] /= 2


def _policy_config(envs: Envs, axes: list[int], config: ResidualConfig) -> ReachyResidualConfig:
    spaces = envs.single_observation_space
    nine, features = spaces["agent_pos"].shape, spaces["environment_state"].shape  # type: ignore[index]
    return ReachyResidualConfig(
        n_obs_steps=config.n_obs_steps,
        hidden=config.hidden,
        alpha=config.alpha,
        axes=[ACTION_NAMES[axis] for axis in axes],
        input_features={
            OBS_STATE: PolicyFeature(FeatureType.STATE, nine),
            OBS_ENV_STATE: PolicyFeature(FeatureType.ENV, features),
            OBS_LAST_ACTION: PolicyFeature(FeatureType.STATE, nine),
        },
        output_features={ACTION: PolicyFeature(FeatureType.ACTION, nine)},
    )
