"""The untuned row of the table of methods: stable-baselines3's PPO with its defaults, on the same environments.

Its own policy (two tanh layers of 64), its own numbers, a decision at a time and independent noise on all nine axes;
actions are rescaled to [-1, 1], as its documentation asks for. Run, about ten minutes; JSON goes to stdout:
    .venv/bin/python tests/bench/sb3_defaults.py --task track --variant hard --decisions 960000
"""

import argparse
import json
import time
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3 import PPO

from reachy_kit.runtime.seeds import iteration_seeds
from reachy_kit.workflows.inputs.sim_envs import make_envs
from reachy_policies.reinforcement.ppo.chunked_env import BatchedVecEnv
from reachy_policies.rollouts.episode_batch import EpisodeBatch, run_episodes
from reachy_policies.rollouts.network_inputs import Observations
from reachy_sim.envs.vector_env import ReachyMiniVectorEnv

KEYS = ("agent_pos", "environment_state", "last_action")


class Flat(BatchedVecEnv):
    """The vector environment as stable-baselines3 knows them: flat observations, actions within ±1, episodes end."""

    def __init__(self, envs: ReachyMiniVectorEnv, seed: int) -> None:
        self.envs, self._first = envs, seed
        space = envs.single_action_space
        self.middle, self.half = (space.high + space.low) / 2, (space.high - space.low) / 2
        width = sum(envs.single_observation_space[key].shape[0] for key in KEYS)
        super().__init__(
            envs.num_envs,
            gymnasium.spaces.Box(-np.inf, np.inf, (width,), np.float32),
            gymnasium.spaces.Box(-1.0, 1.0, space.shape, np.float32),
        )

    def reset(self) -> npt.NDArray[np.float32]:
        observation, _ = self.envs.reset(seed=self._first)
        return flat(observation)

    def step_async(self, actions: npt.NDArray[np.float32]) -> None:
        self._actions = self.middle + self.half * actions

    def step_wait(self) -> tuple[Any, ...]:
        observation, reward, _, over, _ = self.envs.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        rows = flat(observation)
        if over.any():  # all end together
            for index in range(self.num_envs):
                infos[index] = {"TimeLimit.truncated": True, "terminal_observation": rows[index]}
            observation, _ = self.envs.reset()
            rows = flat(observation)
        return rows, reward.astype(np.float32), over, infos

    def close(self) -> None:
        self.envs.close()


class MeanPolicy:
    """The trained policy, without noise."""

    def __init__(self, model: PPO, env: Flat) -> None:
        self._model, self._env = model, env

    def reset(self) -> None:
        """Do nothing."""

    def act(self, observation: Observations) -> npt.NDArray[Any]:
        action, _ = self._model.predict(flat(observation), deterministic=True)
        return np.asarray(self._env.middle + self._env.half * action)


def flat(observation: Observations) -> npt.NDArray[np.float32]:
    """(N, width)."""
    return np.concatenate([observation[key] for key in KEYS], axis=1).astype(np.float32)


def train(task: str, variant: str, reward: str, decisions: int, seed: int, count: int) -> tuple[PPO, Flat, float]:
    """One training; its wall time in s."""
    envs = make_envs(task, count, tier="kinematic", variant=variant, reward=reward)
    env = Flat(envs, iteration_seeds(seed, 0, count).start)
    model = PPO("MlpPolicy", env, seed=seed, device="cpu")
    began = time.perf_counter()
    model.learn(decisions)
    return model, env, time.perf_counter() - began


def evaluate(model: PPO, env: Flat, task: str, variant: str, episodes: int) -> EpisodeBatch:
    """On the episodes that ``reachy-kit eval`` plays."""
    envs = make_envs(task, episodes, tier="kinematic", variant=variant)
    try:
        return run_episodes(envs, MeanPolicy(model, env), 0)
    finally:
        envs.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="track")
    parser.add_argument("--variant", default="hard")
    parser.add_argument("--reward", default="dense")
    parser.add_argument("--decisions", type=int, default=960_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--envs", type=int, default=32)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for seed in range(given.seeds):
        model, env, seconds = train(given.task, given.variant, given.reward, given.decisions, seed, given.envs)
        batch = evaluate(model, env, given.task, given.variant, given.episodes)
        env.close()
        row = {
            "seed": seed,
            "seconds": round(seconds),
            "success": float(batch.success.mean()),
            "error_deg": float(np.rad2deg(batch.mean_error.mean())),
            "jerk": float(batch.jerk.mean()),
        }
        print(json.dumps(row), flush=True)
