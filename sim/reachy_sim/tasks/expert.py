"""Experts: scripted policies that do a task as a person would, and oracles that do it as well as the senses allow.

They decide on a policy's observations (``environment_state``), never on the truth, so they also drive the real robot. A
task names its own (``SimulatedTask``).
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import NEUTRAL, Action, Array, Observation
from reachy_sim import counter_rng

type Ids = npt.NDArray[np.int64]


class Expert(Protocol):
    """A scripted policy for N environments at once."""

    def reset(self, ids: Ids, seeds: counter_rng.Counters, episodes: counter_rng.Counters) -> None:
        """Begin new episodes; their randomness follows from their seeds and counts."""
        ...

    def act(self, state: Array, environment_state: Array, last_action: Array) -> Array:
        """(N, 9) targets from (N, 9) measured, (N, K) features and the (N, 9) actions in force."""
        ...


class SingleEnvPolicy:
    """An expert of one environment as the control loop's policy.

    Args:
        expert: of one environment.
        seed: seed of its randomness; each reset begins its next episode.
    """

    def __init__(self, expert: Expert, seed: int = 0) -> None:
        self._expert, self._seed, self._episode = expert, seed, 0

    def reset(self) -> None:
        """Begin the next episode."""
        ones = np.ones(1, dtype=np.uint64)
        self._expert.reset(np.zeros(1, dtype=np.int64), ones * np.uint64(self._seed), ones * np.uint64(self._episode))
        self._episode += 1

    def act(self, observation: Observation) -> Action:
        """The (9,) target for the next decision.

        Raises:
            WrongUseError: the observation has no features.
        """
        if observation.environment_state is None:
            raise WrongUseError("the scripted experts need perception; this robot gives none")
        state, last = observation.state, observation.action_in_force
        return np.asarray(self._expert.act(state[None], observation.environment_state[None], last[None])[0])


class RandomPolicy:
    """Smooth random movement: the score of a policy that ignores the task.

    Args:
        hz: decisions per second.
        seed: seed of its movement.
    """

    def __init__(self, hz: int, seed: int = 0) -> None:
        self._keep, self._rng = float(np.exp(-1 / hz)), np.random.default_rng(seed)
        self.reset()

    def reset(self) -> None:
        """Start at the middle of the range."""
        self._place = np.zeros(len(NEUTRAL))

    def act(self, observation: Observation) -> Action:
        """Return the (9,) target for the next decision."""
        spread = np.sqrt(1 - self._keep**2) * _RANDOM_SPREAD
        self._place = self._keep * self._place + spread * self._rng.standard_normal(len(NEUTRAL))
        return np.asarray(NEUTRAL + self._place)


_RANDOM_SPREAD: Array = np.array([0.003, 0.003, 0.005, 0.1, 0.15, 0.4, 0.4, 0.4, 0.4])
"""Standard deviations of the movement, m and rad."""
