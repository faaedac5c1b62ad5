"""Learning by exploring: PPO around the simulator's environments, as a learner of training.py."""

import copy
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from reachy_policies.models.chunk import ReachyChunkPolicy
from reachy_policies.models.chunk.chunk_network import ChunkNetwork
from reachy_policies.reinforcement.curriculum import Curriculum
from reachy_policies.reinforcement.ppo.chunk_noise import ChunkNoiseBasis
from reachy_policies.reinforcement.ppo.chunked_env import ChunkedEnvs
from reachy_policies.reinforcement.ppo.chunked_ppo import ChunkedPPO
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
from reachy_policies.rollouts.episode_batch import BatchPolicy, ChunkBatch
from reachy_policies.runs.checkpoint import optimizer_tensors, restore_optimizer


class PPOLearner:
    """PPO from a chunk policy.

    Args:
        start: plans and carries out whole chunks; it is kept as the prior.
        stages: environments to explore in.
        axes: places of the axes that explore.
        config: how.
        informed: with a start that looks at pictures, scales the features that its critic is shown.
    """

    def __init__(
        self,
        start: ReachyChunkPolicy,
        stages: Curriculum,
        axes: list[int],
        config: ReinforceConfig,
        informed: ChunkNetwork | None = None,
    ) -> None:
        torch.manual_seed(config.seed)
        self._config, self._chunk_config = config, start.config
        directions = ChunkNoiseBasis(start.config.chunk_size, axes, start.network.action_dim)
        self._chunked = ChunkedEnvs(stages, start.config, directions.size)
        self._envs = VecNormalize(self._chunked, norm_obs=False, gamma=config.gamma)
        self._ppo = ChunkedPPO(
            config,
            directions,
            self._envs,
            n_steps=self._chunked.chunks,
            policy_kwargs={
                "actor": copy.deepcopy(start.network),
                "prior": copy.deepcopy(start.network),
                "directions": directions,
                "n_obs_steps": start.config.n_obs_steps,
                "informed": informed,
                "config": config,
            },
        )
        _, self._callback = self._ppo._setup_learn(total_timesteps=1, callback=None)

    @property
    def env_steps(self) -> int:
        """Decisions so far."""
        return self._chunked.steps

    def round(self, iteration: int) -> dict[str, float]:
        """Whole episodes in all environments, then several epochs over them."""
        ppo, chunked = self._ppo, self._chunked
        chunked.begin(self._config.seed, iteration)
        ppo._last_obs = self._envs.reset()  # type: ignore[assignment]
        ppo._last_episode_starts = np.ones(chunked.num_envs, dtype=np.bool_)
        ppo.collect_rollouts(self._envs, self._callback, ppo.rollout_buffer, chunked.chunks)
        losses = ppo.learn_from_rollout(critic_only=iteration <= self._config.warmup)
        return {"collected_reward": chunked.mean_reward, **asdict(losses)}

    def acting(self) -> BatchPolicy:
        """The mean plan."""
        return ChunkBatch(self._ppo.policy.actor, self._chunk_config)

    def policy(self) -> ReachyChunkPolicy:
        """A LeRobot policy with the actor's weights."""
        policy = ReachyChunkPolicy(self._chunk_config)
        policy.network.load_state_dict(self._ppo.policy.actor.state_dict())
        return policy.eval()

    def tensors(self) -> dict[str, Tensor]:
        """Actor, prior, critic, spreads and Adam's moments."""
        return {**self._ppo.policy.state_dict(), **optimizer_tensors(self._ppo.policy.optimizer)}

    def numbers(self) -> dict[str, Any]:
        """The running scale of rewards, the steps and the rates."""
        scale = self._envs.ret_rms
        rates = [group["lr"] for group in self._ppo.policy.optimizer.param_groups]
        return {
            "scale": [float(scale.mean), float(scale.var), float(scale.count)],
            "env_steps": self._chunked.steps,
            "rates": rates,
        }

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        policy, scale = self._ppo.policy, self._envs.ret_rms
        policy.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("optimizer.")})
        restore_optimizer(policy.optimizer, tensors)
        scale.mean, scale.var, scale.count = (np.float64(value) for value in numbers["scale"])
        self._chunked.steps = numbers["env_steps"]
        for group, rate in zip(policy.optimizer.param_groups, numbers["rates"], strict=True):
            group["lr"] = rate

    def halve_learning_rates(self) -> None:
        """Halve the rates."""
        for group in self._ppo.policy.optimizer.param_groups:
            group["lr"] /= 2
