"""Many episodes of a batch policy at once, on seeds of their own: for teachers, thresholds and pictures.

Try it: python -m reachy_sim.trials track --episodes 200
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reachy_kit.interface import Array
from reachy_kit.safety import CLASSROOM
from reachy_sim.conditions import Variant
from reachy_sim.simulation import Simulation
from reachy_sim.tasks.expert import BatchPolicy


@dataclass(frozen=True)
class Trial:
    """What N episodes came to."""

    success: npt.NDArray[np.bool_]
    """(N,)."""
    error: Array
    """(N, steps) rad, the task's error after each decision."""
    reward: Array
    """(N,) mean a step."""
    states: Array
    """(N, steps, 9) measured."""
    targets: Array
    """(N, steps, 3) m, base frame."""


def run_trial(
    policy: BatchPolicy,
    variant: Variant,
    seeds: npt.NDArray[np.uint64],
    *,
    tier: str = "physics",
    policy_hz: int = 25,
    randomization: str = "off",
) -> Trial:
    """One episode of each seed, the first that an environment of that seed has.

    Args:
        policy: of as many environments as there are seeds.
        variant: task and conditions.
        seeds: (N,).
        tier: physics or kinematic.
        policy_hz: decisions a second, the policy's own.
        randomization: spreads the training variant.
    """
    count = len(seeds)
    simulation = Simulation(
        variant, count, tier=tier, policy_hz=policy_hz, profile=CLASSROOM, randomization=randomization
    )
    everyone, first = np.arange(count), np.zeros(count, dtype=np.uint64)
    simulation.reset(everyone, seeds, first)
    policy.reset(everyone, seeds, first)
    errors, rewards, states, targets = [], [], [], []
    for _ in range(round(variant.task.seconds * policy_hz)):
        judged = simulation.step(policy.act(simulation.view.state, simulation.features, simulation.applied))
        errors.append(judged.error)
        rewards.append(sum(judged.terms.values(), np.zeros(count)))
        states.append(simulation.view.state)
        targets.append(simulation.target)
    return Trial(
        simulation.success,
        np.stack(errors, axis=1),
        np.mean(rewards, axis=0),
        np.stack(states, axis=1),
        np.stack(targets, axis=1),
    )
