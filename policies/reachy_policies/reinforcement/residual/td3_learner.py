"""Learning a correction of a frozen policy, off-policy, as a learner of training.py.

TD3 with an ensemble of critics, n-step returns, and half of each batch from a teacher who acted within the correction's
bounds. stable-baselines3 has TD3, but no place in it for the demonstrations' share, layer normalisation, a choice of
critics or smoothness: what would be left of it is the loop over the updates.

Source: ResFiT (arXiv 2509.19301) and Policy Decorator (2412.13630); TD3 (1802.09477).
"""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector import VectorEnv
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import Tensor

from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.recording.schema import OBS_LAST_ACTION
from reachy_kit.runtime.seeds import demonstration_seeds, round_seeds
from reachy_policies.models.residual.configuration_residual import ReachyResidualConfig
from reachy_policies.models.residual.frozen_base import Batch as Observed
from reachy_policies.models.residual.frozen_base import FrozenBase
from reachy_policies.models.residual.modeling_residual import ReachyResidualPolicy
from reachy_policies.reinforcement.curriculum import Curriculum
from reachy_policies.reinforcement.residual.critics import Critics
from reachy_policies.reinforcement.residual.replay_memory import Episodes, Memory
from reachy_policies.reinforcement.residual.residual_config import ResidualConfig
from reachy_policies.rollouts.episode_batch import BatchPolicy, Observations
from reachy_policies.runs.checkpoint import optimizer_tensors, restore_optimizer

type Chooser = Callable[[Observations, Tensor, Tensor], Tensor]
"""Observation, features (N, F) and the base's action (N, A) → (N, axes) corrections in [−1, 1]."""
_TARGET_NOISE, _TARGET_CLIP = 0.1, 0.2
"""Shares of the reach; about half of TD3's 0.2 and 0.5, not tuned."""


class TD3Learner:
    """TD3 on a residual.

    Args:
        base: what is corrected.
        stages: environments to act in.
        teacher: the first seed of as many episodes → who acts in them, to be learned from as well.
        axes: places of the axes that are corrected.
        config: how.
    """

    def __init__(
        self,
        base: FrozenBase,
        stages: Curriculum,
        teacher: Callable[[int], BatchPolicy],
        axes: list[int],
        config: ResidualConfig,
    ) -> None:
        torch.manual_seed(config.seed)
        self._stages, self._teacher, self._config = stages, teacher, config
        self._policy = ReachyResidualPolicy(_policy_config(stages.first, axes, config), base).eval()
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
        history, share = config.n_obs_steps, config.demonstrated
        self._memory = Memory(config.memory, history, config.n_step, config.gamma, share)
        self._steps = 0

    @property
    def env_steps(self) -> int:
        """Decisions so far, the teacher's included."""
        return self._steps

    def round(self, iteration: int) -> dict[str, float]:
        """An episode in all environments, then ``updates`` draws from the memory; before the first, the teacher's."""
        config, envs = self._config, self._stages.at(iteration)
        if self._memory.own is None:
            self._be_taught()
        share = min(1.0, self._steps / config.ramp) if config.ramp else 1.0
        seeds = round_seeds(config.seed, iteration, envs.num_envs).start
        episodes, success = self._play(envs, self._exploring(envs.num_envs, share), seeds)
        self._memory.keep(episodes)
        losses = [self._update(actor=update % 2 == 1 and iteration > config.warmup) for update in range(config.updates)]
        return {
            "collected_reward": float(episodes.reward.mean()),
            "collected_success": float(success.mean()),
            "acting_share": share,
            "correction": float(episodes.correction.abs().mean()),
            "critic_loss": float(torch.stack(losses).mean()),
        }

    def _be_taught(self) -> None:
        """The teacher's episodes, as far as the correction reaches; the first ones also say how the inputs spread."""
        config, envs = self._config, self._stages.first
        for lesson in range(config.taught):
            seeds = demonstration_seeds(config.seed, lesson, envs.num_envs).start
            episodes, _ = self._play(envs, self._imitating(self._teacher(seeds)), seeds)
            self._memory.be_taught(episodes)
        first = round_seeds(config.seed, 0, envs.num_envs).start
        seen = self._memory.taught or self._play(envs, self._exploring(envs.num_envs, 0.0), first)[0]
        everything = torch.cartesian_prod(torch.arange(len(seen)), torch.arange(seen.reward.shape[1])).unbind(1)
        self._actor.fit_normalisation(self._actor.features(*seen.window(*everything, config.n_obs_steps)))

    def _imitating(self, teacher: BatchPolicy) -> Chooser:
        """What would bring about the teacher's action, as far as it reaches."""
        begun = False
        reach = self._actor.reach.sum(1)
        axes = self._actor.reach.argmax(1)

        def choose(observation: Observations, features: Tensor, base_action: Tensor) -> Tensor:
            nonlocal begun
            if not begun:
                teacher.begin(observation)
                begun = True
            wanted = torch.from_numpy(np.asarray(teacher.act(observation), dtype=np.float32))
            return ((wanted - base_action)[:, axes] / reach).clamp(-1, 1)

        return choose

    def _exploring(self, count: int, share: float) -> Chooser:
        """The correction in a share of the environments, and in all of them smooth noise around it."""
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
    def _play(
        self, envs: VectorEnv[Any, Any, Any], choose: Chooser, seeds: int
    ) -> tuple[Episodes, npt.NDArray[np.bool_]]:
        """One whole episode in each environment, and whether it succeeded."""
        policy, actor = self._policy, self._actor
        observation, _ = envs.reset(seed=seeds)
        policy.reset()
        seen, wanted, corrections, rewards = [], [], [], []
        over, info = False, {}
        while True:
            batch = _batch(observation)
            base_action = policy.base.act(batch)
            window = policy.look(batch)
            seen.append(batch)
            wanted.append(base_action)
            if over:
                break
            features = actor.features(*window, batch[OBS_LAST_ACTION], base_action)
            corrections.append(choose(observation, features, base_action))
            action = actor.corrected(base_action, corrections[-1])
            observation, reward, _, truncated, info = envs.step(action.numpy())
            rewards.append(torch.from_numpy(np.asarray(reward, dtype=np.float32)))
            over = bool(truncated.any())
        self._steps += len(rewards) * envs.num_envs
        kept = {key: torch.stack([one[key] for one in seen], dim=1) for key in (OBS_STATE, OBS_ENV_STATE)}
        episodes = Episodes(
            kept[OBS_STATE],
            kept[OBS_ENV_STATE],
            torch.stack([one[OBS_LAST_ACTION] for one in seen], dim=1),
            torch.stack(wanted, dim=1),
            torch.stack(corrections, dim=1),
            torch.stack(rewards, dim=1),
        )
        return episodes, np.asarray(info["is_success"])

    def _update(self, *, actor: bool) -> Tensor:
        """One step of the critics and, if wanted, of the actor; the critics' loss."""
        config, learned, critics = self._config, self._actor, self._critics
        batch = self._memory.draw(config.batch_size, learned.features)
        now, soon, then = (learned.normalised(seen) for seen in (batch.now, batch.soon, batch.then))
        with torch.no_grad():
            noise = (_TARGET_NOISE * torch.randn_like(batch.correction)).clamp(-_TARGET_CLIP, _TARGET_CLIP)
            later = self._targets(then, (learned.correction(then) + noise).clamp(-1, 1))
            pair = later[torch.randperm(config.critics)[:2]].amin(0)
            # Values are in rewards a decision, so that weights and rates do not depend on the discount.
            target = (1 - config.gamma) * batch.reward + batch.discount * pair
        loss = (critics(now, batch.correction) - target).square().mean(1).sum()
        self._descend(loss, list(critics.parameters()))
        with torch.no_grad():
            torch._foreach_lerp_(list(self._targets.parameters()), list(critics.parameters()), config.polyak)
        if actor:
            correction = learned.correction(now)
            jerky = (learned.correction(soon) - correction).square().sum(1).mean()
            value = critics(now, correction).mean()
            self._descend(config.smooth * jerky - value, list(learned.parameters()))
        return loss.detach()

    def _descend(self, loss: Tensor, parameters: list[torch.nn.Parameter]) -> None:
        self._optimizer.zero_grad()
        loss.backward(inputs=parameters)
        self._optimizer.step()

    def acting(self) -> BatchPolicy:
        """The correction, without noise."""
        return _Acting(self._policy)

    def policy(self) -> ReachyResidualPolicy:
        """A LeRobot policy with these weights, over the same base."""
        policy = ReachyResidualPolicy(self._policy.config, self._policy.base)
        policy.network.load_state_dict(self._actor.state_dict())
        return policy.eval()

    def tensors(self) -> dict[str, Tensor]:
        """Weights, Adam's moments and the memory: a refilled one would have seen another policy act."""
        parts = {"actor": self._actor, "critics": self._critics, "targets": self._targets}
        weights = {f"{part}.{name}": value for part, of in parts.items() for name, value in of.state_dict().items()}
        kept = {f"memory.{name}": value for name, value in self._memory.tensors().items()}
        return {**weights, **optimizer_tensors(self._optimizer), **kept}

    def numbers(self) -> dict[str, Any]:
        """Steps and rates."""
        return {"env_steps": self._steps, "rates": [group["lr"] for group in self._optimizer.param_groups]}

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        for part, of in (("actor", self._actor), ("critics", self._critics), ("targets", self._targets)):
            of.load_state_dict(_under(f"{part}.", tensors))
        restore_optimizer(self._optimizer, tensors)
        self._memory.restore(_under("memory.", tensors))
        self._steps = numbers["env_steps"]
        for group, rate in zip(self._optimizer.param_groups, numbers["rates"], strict=True):
            group["lr"] = rate

    def halve_learning_rates(self) -> None:
        """Halve the rates."""
        for group in self._optimizer.param_groups:
            group["lr"] /= 2


class _Acting:
    """A LeRobot policy for N environments at once."""

    def __init__(self, policy: ReachyResidualPolicy) -> None:
        self._policy = policy

    def begin(self, observation: Observations) -> None:
        """Forget the episodes before."""
        self._policy.reset()

    def act(self, observation: Observations) -> npt.NDArray[Any]:
        """(N, 9) the next action."""
        return np.asarray(self._policy.select_action(_batch(observation)).numpy())


def _batch(observation: Observations) -> Observed:
    keys = ((OBS_STATE, "agent_pos"), (OBS_ENV_STATE, "environment_state"), (OBS_LAST_ACTION, "last_action"))
    return {key: torch.from_numpy(np.asarray(observation[name], dtype=np.float32)) for key, name in keys}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _policy_config(envs: VectorEnv[Any, Any, Any], axes: list[int], config: ResidualConfig) -> ReachyResidualConfig:
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
