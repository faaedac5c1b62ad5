"""Many episodes at once in the batched simulator, through Gymnasium: the one loop of training and of evaluation.

The control loop of the robot itself, one episode after another, is reachy_kit/runtime/rollout.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv

from reachy_kit.runtime.interface import Array
from reachy_policies.rollouts.network_inputs import Observations

type Envs = VectorEnv[Any, Any, Any]


class BatchPolicy(Protocol):
    """A policy for N environments at once."""

    def reset(self) -> None:
        """Forget the episodes before."""
        ...

    def act(self, observation: Observations) -> npt.NDArray[Any]:
        """(N, 9) targets; called once per decision."""
        ...


@dataclass(frozen=True)
class Transition:
    """One decision in each of N environments."""

    observation: Observations
    """Observation on which the decision was made."""
    next_observation: Observations
    reward: npt.NDArray[Any]
    """(N,)."""
    info: Mapping[str, Any]


@dataclass(frozen=True)
class EpisodeBatch:
    """N episodes, in the order of their seeds; S decisions each."""

    success: npt.NDArray[np.bool_]
    """(N,) whether the whole criterion was met."""
    error: Array
    """(N, S) the task's error after each decision, in the unit of ``Truth.task_error``."""
    reward: Array
    """(N,) mean per decision: the return that groups are matched by."""
    commands: Array
    """(N, S, 9) m and rad, the actions that were carried out."""
    hz: int
    """Decisions per second."""

    @property
    def mean_error(self) -> Array:
        """(N,) mean error after a first second to find the target, in the unit of ``Truth.task_error``."""
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
        """(N,) rad, root mean square of the difference of the commanded angles in the same episodes.

        NaN if the numbers of decisions per second differ.
        """
        if self.hz != other.hz:
            return np.full(len(self.commands), np.nan)
        difference = self.commands[:, :, 3:] - other.commands[:, :, 3:]
        return np.asarray(np.sqrt(np.square(difference).mean(axis=(1, 2))))


def transitions(envs: Envs, policy: BatchPolicy, seeds: int | Sequence[int]) -> Iterator[Transition]:
    """Run one whole episode in each environment, and yield every decision.

    Args:
        envs: N, without autoreset, or with one that only the episode's end causes.
        policy: acts in all environments; it is reset first.
        seeds: one for each environment, or the first of as many successive ones.
    """
    each: Any = seeds if isinstance(seeds, int) else list(seeds)  # Gymnasium takes both, and declares only the first
    observation, _ = envs.reset(seed=each)
    policy.reset()
    ended = False
    while not ended:
        next_observation, reward, _, truncated, info = envs.step(policy.act(observation))
        yield Transition(observation, next_observation, reward, info)
        observation, ended = next_observation, bool(np.asarray(truncated).any())


def run_episodes(envs: Envs, policy: BatchPolicy, seeds: int | Sequence[int]) -> EpisodeBatch:
    """Run one whole episode in each environment and keep what evaluations measure; arguments as in ``transitions``."""
    errors, rewards, commands = [], [], []
    for transition in transitions(envs, policy, seeds):
        errors.append(transition.info["error"])
        rewards.append(transition.reward)
        commands.append(transition.next_observation["last_action"])
    return EpisodeBatch(
        np.asarray(transition.info["is_success"]),
        np.stack(errors, axis=1),
        np.mean(rewards, axis=0),
        np.stack(commands, axis=1).astype(np.float64),
        int(envs.metadata["render_fps"]),
    )
