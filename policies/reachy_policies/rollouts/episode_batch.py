"""Many episodes at once in the batched simulator, through Gymnasium: what training and statistics judge by.

The control loop of the robot itself is judged by episodes.py, one episode after another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector import VectorEnv

from reachy_kit.runtime.interface import Array
from reachy_policies.models.chunk.chunk_network import ChunkNetwork
from reachy_policies.models.chunk.configuration_chunk import ReachyChunkConfig
from reachy_policies.rollouts.batch_history import Window

type Observations = Mapping[str, npt.NDArray[Any]]


class BatchPolicy(Protocol):
    """Decides for N environments at once."""

    def begin(self, observation: Observations) -> None:
        """New episodes in all environments."""
        ...

    def act(self, observation: Observations) -> npt.NDArray[Any]:
        """(N, 9) targets; called once a decision, first with what ``begin`` was given."""
        ...


@dataclass(frozen=True)
class EpisodeBatch:
    """N episodes, in the order of their seeds; S decisions each."""

    success: npt.NDArray[np.bool_]
    """(N,) whether the whole criterion was met."""
    error: Array
    """(N, S) rad, the task's error after each decision."""
    reward: Array
    """(N,) mean a decision: the return that arms are matched by."""
    commands: Array
    """(N, S, 9) m and rad, what was carried out."""
    hz: int
    """Decisions a second."""

    @property
    def mean_error(self) -> Array:
        """(N,) rad, after a first second to find the target."""
        return np.asarray(self.error[:, self.hz :].mean(axis=1))

    @property
    def jerk(self) -> Array:
        """(N,) rad/s³, mean magnitude of the third derivative of the head's and the antennas' commanded angles."""
        angles = self.commands[:, :, 3:]
        return np.asarray(np.abs(np.diff(angles, n=3, axis=1)).mean(axis=(1, 2)) * self.hz**3)

    @property
    def action_rate(self) -> Array:
        """(N,) rad/s, mean speed of the commanded angles, all axes together."""
        return np.asarray(np.abs(np.diff(self.commands[:, :, 3:], axis=1)).sum(axis=2).mean(axis=1) * self.hz)

    def distance(self, other: "EpisodeBatch") -> Array:
        """(N,) rad, root mean square between two ways of playing the same episodes, over the commanded angles and time.

        NaN if one decides more often than the other.
        """
        if self.hz != other.hz:
            return np.full(len(self.commands), np.nan)
        between = self.commands[:, :, 3:] - other.commands[:, :, 3:]
        return np.asarray(np.sqrt(np.square(between).mean(axis=(1, 2))))


def play(envs: VectorEnv[Any, Any, Any], policy: BatchPolicy, seeds: int | Sequence[int]) -> EpisodeBatch:
    """One whole episode in each environment.

    Args:
        envs: without autoreset, or with one that the episode's end alone would cause.
        policy: of as many environments.
        seeds: one for each environment, or the first of as many successive ones.
    """
    observation, _ = envs.reset(seed=seeds if isinstance(seeds, int) else list(seeds))
    policy.begin(observation)
    errors, rewards, commands = [], [], []
    over = False
    info: dict[str, Any] = {}
    while not over:
        observation, reward, _, truncated, info = envs.step(policy.act(observation))
        errors.append(info["error"])
        rewards.append(reward)
        commands.append(observation["last_action"])
        over = bool(np.asarray(truncated).any())
    return EpisodeBatch(
        np.asarray(info["is_success"]),
        np.stack(errors, axis=1),
        np.mean(rewards, axis=0),
        np.stack(commands, axis=1).astype(np.float64),
        int(envs.metadata["render_fps"]),
    )


class ChunkBatch:
    """A chunk network that acts on its mean.

    Args:
        network: plans.
        config: of its policy.
    """

    def __init__(self, network: ChunkNetwork, config: ReachyChunkConfig) -> None:
        self._network, self._execute = network, config.n_action_steps
        self._window = Window(config.n_obs_steps, config.picture)

    def begin(self, observation: Observations) -> None:
        """Forget the episodes before."""
        self._window.begin(observation)
        self._decided = 0

    def act(self, observation: Observations) -> npt.NDArray[Any]:
        """The next of the planned actions."""
        place = self._decided % self._execute
        if self._decided:
            self._window.note(observation)
        if place == 0:
            with torch.inference_mode():
                self._plan = self._network.plan(*self._window.parts()).numpy()
        self._decided += 1
        return np.asarray(self._plan[:, place])
