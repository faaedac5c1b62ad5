"""PPO around the simulator's environments, as a ``Learner``."""

import copy
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecNormalize

from reachy_policies.models.chunk import ReachyChunkPolicy
from reachy_policies.models.chunk.chunk_network import ChunkNetwork
from reachy_policies.reinforcement.curriculum import Curriculum
from reachy_policies.reinforcement.ppo.chunk_noise import ChunkNoiseBasis
from reachy_policies.reinforcement.ppo.chunked_env import ChunkedEnvs
from reachy_policies.reinforcement.ppo.chunked_ppo import ChunkedPPO
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
from reachy_policies.rollouts.batch_chunk_policy import BatchChunkPolicy
from reachy_policies.rollouts.episode_batch import BatchPolicy
from reachy_policies.runs.checkpoint import State, load_optimizer_state, optimizer_state


class PPOLearner:
    """PPO from a chunk policy.

    Args:
        start: the policy to start from, which carries out whole chunks; it is kept as the prior.
        curriculum: environments to explore in.
        axes: indices of the axes that explore.
        config: settings.
        privileged: with a start that takes images, normalises the features for its critic.
    """

    def __init__(
        self,
        start: ReachyChunkPolicy,
        curriculum: Curriculum,
        axes: list[int],
        config: ReinforceConfig,
        privileged: ChunkNetwork | None = None,
    ) -> None:
        torch.manual_seed(config.seed)
        self._config, self._chunk_config = config, start.config
        basis = ChunkNoiseBasis(start.config.chunk_size, axes, start.network.action_dim)
        self._chunked = ChunkedEnvs(curriculum, start.config, basis.size)
        self._envs = VecNormalize(self._chunked, norm_obs=False, gamma=config.gamma)
        self._ppo = ChunkedPPO(
            config,
            basis,
            self._envs,
            n_steps=self._chunked.chunks,
            policy_kwargs={
                "actor": copy.deepcopy(start.network),
                "prior": copy.deepcopy(start.network),
                "basis": basis,
                "n_obs_steps": start.config.n_obs_steps,
                "privileged": privileged,
                "config": config,
            },
        )
        _, self._callback = self._ppo._setup_learn(total_timesteps=1, callback=None)

    @property
    def env_steps(self) -> int:
        """Decisions of all environments so far."""
        return self._chunked.steps

    def train_iteration(self, iteration: int) -> dict[str, float]:
        """Collect whole episodes in all environments, then run several epochs over them."""
        ppo, chunked = self._ppo, self._chunked
        chunked.begin(self._config.seed, iteration)
        ppo._last_obs = self._envs.reset()
        ppo._last_episode_starts = np.ones(chunked.num_envs, dtype=np.bool_)
        ppo.collect_rollouts(self._envs, self._callback, ppo.rollout_buffer, chunked.chunks)
        losses = ppo.learn_from_rollout(critic_only=iteration <= self._config.warmup)
        return {"collected_reward": chunked.mean_reward, **asdict(losses)}

    def eval_policy(self) -> BatchPolicy:
        """The policy without noise, which carries out the mean plan."""
        return BatchChunkPolicy(self._ppo.policy.actor, self._chunk_config)

    def policy(self) -> ReachyChunkPolicy:
        """A LeRobot policy with the actor's weights."""
        policy = ReachyChunkPolicy(self._chunk_config)
        policy.network.load_state_dict(self._ppo.policy.actor.state_dict())
        policy.eval()
        return policy

    def state_dict(self) -> dict[str, Any]:
        """Actor, prior, critic, spreads, Adam's moments and rates, the running scale of rewards, and the decisions."""
        policy, scale = self._ppo.policy, self._envs.ret_rms
        return {
            "actor_critic": policy.state_dict(),
            "optimizer": optimizer_state(policy.optimizer),
            "reward_scale": [float(scale.mean), float(scale.var), float(scale.count)],
            "env_steps": self._chunked.steps,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a checkpoint."""
        policy, scale = self._ppo.policy, self._envs.ret_rms
        policy.load_state_dict(state["actor_critic"])
        load_optimizer_state(policy.optimizer, state["optimizer"])
        scale.mean, scale.var, scale.count = (np.float64(value) for value in state["reward_scale"])
        self._chunked.steps = state["env_steps"]

    def halve_learning_rates(self) -> None:
        """Halve the learning rates."""
        for group in self._ppo.policy.optimizer.param_groups:
            group["lr"] /= 2
