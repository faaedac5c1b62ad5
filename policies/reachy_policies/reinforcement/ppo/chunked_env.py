"""The batched environments behind stable-baselines3's interface, a chunk of decisions at a time.

Each iteration begins with fresh episodes whose seeds follow from the run's seed and the iteration: its number is all
that an environment must remember from one iteration to the next.
"""

import math
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv

from reachy_kit.runtime.inference.history import ObservationHistory
from reachy_kit.runtime.seeds import iteration_seeds
from reachy_policies.models.chunk.configuration_chunk import ReachyChunkConfig
from reachy_policies.models.chunk.vision_network import IMAGE_STEPS
from reachy_policies.reinforcement.curriculum import Curriculum
from reachy_policies.rollouts.network_inputs import Observations, batch_inputs, flat_window

type Floats = npt.NDArray[np.float32]
_FAR = 1e3
"""Bound of the action space, rad and m. stable-baselines3 needs a finite one; the limiter sets the real bounds."""


class BatchedVecEnv(VecEnv):
    """stable-baselines3's methods for single environments, for a batch without any."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute, once for each environment."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: environments of one batch share their attributes."""
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refuse: a batch has no single environments."""
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """False for each: environments of a batch have no wrappers of their own."""
        return [False] * self.num_envs


class ChunkedEnvs(BatchedVecEnv):
    """N environments whose action is a latent and the (C, A) chunk that it stands for; only the chunk is carried out.

    The reward is the chunk's mean. Observations are the rows of ``flat_window``. Where the policy takes images, those
    of the features follow, for its privileged critic.

    Args:
        curriculum: Gymnasium's vector environments, without autoreset.
        config: configuration of the acting policy: its inputs, and C.
        latent: L numbers before the chunk in an action.
    """

    def __init__(self, curriculum: Curriculum, config: ReachyChunkConfig, latent: int) -> None:
        envs: Any = curriculum.first
        chunk = config.chunk_size
        self._curriculum, self._envs, self._chunk, self._latent = curriculum, envs, chunk, latent
        self._episode_steps = int(envs.get_attr("_max_episode_steps")[0])
        spaces = envs.single_observation_space
        self.action_dim = spaces["agent_pos"].shape[0]
        width = config.n_obs_steps * (self.action_dim + spaces["environment_state"].shape[0]) + self.action_dim
        self._histories: list[tuple[ObservationHistory, tuple[int, ...] | None]] = []
        if config.image_shape is not None:
            # The critic is not needed on the robot: it takes the features that the actor must find in the images.
            self._histories.append((ObservationHistory(config.n_obs_steps, images=True), config.image_shape))
            width += (config.n_obs_steps + 1) * self.action_dim + IMAGE_STEPS * math.prod(config.image_shape)
        self._histories.append((ObservationHistory(config.n_obs_steps), None))
        sizes = width, latent + chunk * self.action_dim
        super().__init__(envs.num_envs, *(gymnasium.spaces.Box(-_FAR, _FAR, (size,), np.float32) for size in sizes))
        self._next = 0
        self.steps = 0
        """Decisions of all environments so far."""
        self.mean_reward = 0.0
        """Rewards per decision since the last reset."""

    @property
    def chunks(self) -> int:
        """Number of plans in an episode; the last one is cut short where it does not fit."""
        return -(-self._episode_steps // self._chunk)

    def begin(self, seed: int, iteration: int) -> None:
        """Set the seeds of the episodes that the next reset begins."""
        self._envs = self._curriculum.at(iteration)
        self._next = iteration_seeds(seed, iteration, self.num_envs).start

    def reset(self) -> Floats:
        """Begin new episodes; returns (N, width) observations."""
        observation, _ = self._envs.reset(seed=self._next)
        for history, _ in self._histories:
            history.reset()
        self._observe(observation)
        self._done_steps, self._rewards = 0, 0.0
        return self._flat()

    def step_async(self, actions: npt.NDArray[np.float32]) -> None:
        """Store (N, L + C·A) actions for ``step_wait``."""
        self._chunks = actions[:, self._latent :].reshape(self.num_envs, self._chunk, self.action_dim)

    def step_wait(self) -> tuple[Floats, Floats, npt.NDArray[np.bool_], list[dict[str, Any]]]:
        """Carry out the chunks."""
        rewards = np.zeros(self.num_envs)
        count = min(self._chunk, self._episode_steps - self._done_steps)
        for decision in range(count):
            observation, reward, _, _, _ = self._envs.step(self._chunks[:, decision])
            self._observe(observation)
            rewards += reward
        self._done_steps += count
        self.steps += count * self.num_envs
        self._rewards += float(rewards.mean())
        self.mean_reward = self._rewards / self._done_steps
        # Time runs out, but the task does not end: the critic's value stands for what would have followed.
        never: npt.NDArray[np.bool_] = np.zeros(self.num_envs, dtype=np.bool_)
        return self._flat(), (rewards / count).astype(np.float32), never, [{}] * self.num_envs

    def _observe(self, observation: Observations) -> None:
        for history, image_shape in self._histories:
            history.append(*batch_inputs(observation, image_shape))

    def _flat(self) -> Floats:
        return np.concatenate([flat_window(history) for history, _ in self._histories], axis=1)

    def close(self) -> None:
        """Free the environments."""
        self._curriculum.close()

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Return None for each environment: seeds follow from ``begin``."""
        return [None] * self.num_envs
