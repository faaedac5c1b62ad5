"""Counter-based random numbers: a hash of seed, episode, stream and step, without a generator's state.

Environment i of a batch therefore draws the same numbers as a single environment of its seed, and a checkpoint does not
store a generator. Source of the mixer: SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014).
"""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import Array

type Counters = npt.NDArray[np.uint64]

SCENARIO, DOMAIN, SENSING, POLICY, VISUALS = range(5)
"""Streams: draws from one stream never shift those of another."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniform(seeds: Counters, episodes: Counters, stream: int, count: int, steps: Counters | int = 0) -> Array:
    """Draw uniform numbers.

    Args:
        seeds: (N,) one per environment.
        episodes: (N,) index of the episode within its seed.
        stream: one of the streams of this module.
        count: numbers per environment.
        steps: (N,) decisions since the episode began, where every decision draws.

    Returns:
        (N, count) in [0, 1).
    """
    return uniform_of(episode_keys(seeds, episodes), stream, count, steps)


def episode_keys(seeds: Counters, episodes: Counters) -> Counters:
    """Keys (N,) for ``uniform_of`` instead of seeds and episodes; computed once per episode."""
    return _mixed(_mixed(seeds) + episodes * _GOLDEN)


def uniform_of(keys: Counters, stream: int, count: int, steps: Counters | int = 0) -> Array:
    """Draw as ``uniform`` does, for (N,) episodes by their keys."""
    key = _mixed(
        keys + (np.atleast_1d(np.asarray(steps, dtype=np.uint64)) * np.uint64(8) + np.uint64(stream)) * _GOLDEN
    )
    bits = _mixed(key[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53)


def normal(uniforms: Array) -> Array:
    """Standard normal numbers (N, 2k) from (N, 2k) uniform ones, by Box and Muller."""
    half = uniforms.shape[-1] // 2
    radius = np.sqrt(-2 * np.log1p(-uniforms[..., :half]))
    angle = 2 * np.pi * uniforms[..., half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def _mixed(values: Counters) -> Counters:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))
