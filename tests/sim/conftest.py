"""Fixtures of the simulator's suites: episodes of the scripted expert, and comparison of nested results bit for bit."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest

from reachy_kit.runtime.tasks.task_registry import task_spec
from reachy_sim.tasks import expert_policy

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # windows need no screen


@dataclass(frozen=True)
class ExpertEpisodes:
    """N episodes of the expert, S decisions each."""

    success: np.ndarray
    """(N,)."""
    error: np.ndarray
    """(N, S) rad, after each decision."""
    reward: np.ndarray
    """(N,) mean per decision."""
    states: np.ndarray
    """(N, S, 9) measured."""
    targets: np.ndarray
    """(N, S, 3) m, base frame."""


@pytest.fixture(scope="session")
def run_expert():
    """Run the first episode of each seed, on the simulator's own double precision rather than on float32
    observations."""

    def run(
        task: str,
        variant: str = "training",
        *,
        seeds: Sequence[int],
        oracle: bool = False,
        tier: str = "kinematic",
        hz: int = 25,
    ) -> ExpertEpisodes:
        count = len(seeds)
        envs = gymnasium.make_vec(task_spec(task).gym_id, count, variant=variant, tier=tier, policy_hz=hz)
        envs.reset(seed=[int(seed) for seed in seeds])
        expert, simulation = expert_policy(task, hz, count, oracle=oracle), envs.unwrapped.simulation
        expert.reset(np.arange(count), np.asarray(seeds, dtype=np.uint64), np.zeros(count, dtype=np.uint64))
        errors, rewards, states, targets, truncated = [], [], [], [], np.zeros(count, dtype=bool)
        while not truncated.any():
            action = expert.act(simulation.view.state, simulation.features, simulation.applied)
            _, reward, _, truncated, info = envs.step(action)
            errors.append(info["error"])
            rewards.append(reward)
            states.append(simulation.view.state)
            targets.append(simulation.target)
        envs.close()
        return ExpertEpisodes(
            info["is_success"],
            np.stack(errors, axis=1),
            np.mean(rewards, axis=0),
            np.stack(states, axis=1),
            np.stack(targets, axis=1),
        )

    return run


@pytest.fixture(scope="session")
def assert_same():
    """Assert that nested dictionaries, tuples and arrays are equal to the last bit and of the same type."""

    def check(ours, theirs, where="") -> None:
        if isinstance(theirs, dict):
            assert ours.keys() == theirs.keys(), where
            for key, value in theirs.items():
                check(ours[key], value, f"{where} {key}")
        elif isinstance(theirs, tuple) or (isinstance(theirs, np.ndarray) and theirs.dtype == object):
            for index, (own, other) in enumerate(zip(ours, theirs, strict=True)):
                check(own, other, f"{where} {index}")
        else:
            np.testing.assert_array_equal(ours, theirs, err_msg=where)
            assert np.asarray(ours).dtype == np.asarray(theirs).dtype, where

    return check
