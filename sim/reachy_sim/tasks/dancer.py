"""The expert that dances: it nods on the beat and swings the antennas apart.

Its numbers are fixed here, with their sources, as the reference for learning. Batched, one row per environment.
"""

from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, NEUTRAL, PITCH, YAW, Array
from reachy_sim import counter_rng
from reachy_sim.tasks.expert import Ids


@dataclass(frozen=True)
class DancerConfig:
    """Timing and amplitude of a dancer."""

    asynchrony: float = 0.0
    """Intended delay of the movement after the beat, s. People's taps lead it by 20–80 ms (Repp 2005)."""
    asynchrony_spread: float = 0.025
    """Standard deviation of that delay from episode to episode, s."""
    jitter: float = 0.025
    """Standard deviation within an episode, s: taps scatter by 20–30 ms (Repp 2005)."""
    lead: float = 0.09
    """Time by which it anticipates its own body, s: less than the delay of the robot's motors (about 0.12 s)."""
    reach: float = 1.25
    """Requested swing in multiples of the ideal one: the motors carry out four fifths."""
    amplitude_spread: float = 0.1
    """Relative standard deviation of the swing from episode to episode."""


PERSON = DancerConfig()
METRONOME = DancerConfig(asynchrony_spread=0.0, jitter=0.0, lead=0.12, reach=1.3, amplitude_spread=0.0)
"""Dancer of the oracle: it compensates for the robot's whole delay and has no noise."""


class Dancer:
    """Nods on the beat and swings the antennas apart.

    Args:
        count: N.
        hz: decisions per second.
        config: timing and amplitude.
        nod: rad, half the way between the head's highest and lowest.
        swing: rad, half the way of each antenna.
    """

    def __init__(self, count: int, hz: int, config: DancerConfig, nod: float, swing: float) -> None:
        self._hz, self._config, self._nod, self._swing = hz, config, nod, swing
        self._late, self._wobble, self._size = np.zeros(count), np.zeros(count), np.ones(count)
        self._decisions = np.zeros(count, dtype=np.uint64)
        self._seeds, self._episodes = np.zeros(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64)

    def reset(self, ids: Ids, seeds: counter_rng.Counters, episodes: counter_rng.Counters) -> None:
        """Begin new episodes, each with its own timing and amplitude."""
        config = self._config
        self._seeds[ids], self._episodes[ids], self._decisions[ids] = seeds, episodes, 0
        drawn = counter_rng.normal(counter_rng.uniform(seeds, episodes, counter_rng.POLICY, 4))
        self._late[ids] = config.asynchrony + config.asynchrony_spread * drawn[:, 0]
        self._wobble[ids] = config.jitter * drawn[:, 1]
        self._size[ids] = 1 + config.amplitude_spread * np.clip(drawn[:, 2], -2, 2)

    def act(self, state: Array, environment_state: Array, last_action: Array) -> Array:
        """Return the next targets."""
        config = self._config
        self._decisions += np.uint64(1)
        if config.jitter:
            keep = np.exp(-2.0 / self._hz)
            drawn = counter_rng.normal(
                counter_rng.uniform(self._seeds, self._episodes, counter_rng.POLICY, 2, self._decisions)
            )
            self._wobble = keep * self._wobble + config.jitter * np.sqrt(1 - keep**2) * drawn[:, 0]
        sine, cosine, tempo, _, age = environment_state.T
        ahead = age + config.lead + 1 / self._hz - self._late - self._wobble
        angle = np.arctan2(sine, cosine) + 2 * np.pi * tempo * ahead
        beat = config.reach * self._size * np.cos(angle)
        action = np.tile(NEUTRAL, (len(state), 1))
        action[:, YAW] = action[:, BODY_YAW] = state[:, BODY_YAW]
        action[:, PITCH] = self._nod * beat
        action[:, ANTENNAS] += self._swing * beat[:, None] * (-1.0, 1.0)
        return action
