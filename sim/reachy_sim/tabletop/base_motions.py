"""Motions that shake a base: waves along the axes, random requests, the tasks' experts, recorded moves.

All are requests, (ticks, N, 9) at 50 Hz; the limiter decides what becomes of them.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.behaviours.recorded_move import read_moves
from reachy_kit.runtime.interface import ACTION_NAMES, ANTENNAS, BODY_YAW, CONTROL_HZ, NEUTRAL, YAW, Array
from reachy_kit.runtime.safety import CLASSROOM
from reachy_sim.envs.vector_env import ReachyMiniVectorEnv
from reachy_sim.tasks import expert_policy

PERIODS = (0.08, 0.12, 0.16, 0.24, 0.4, 0.8)
"""Periods of the waves, s: from two ticks up and two down to slow."""


def waves(share: Array, period: Array, phase: Array, ticks: int) -> Array:
    """Square waves about neutral, each axis with its own; the head turns about the body.

    Args:
        share: (N, 9) amplitude in shares of the classroom's box, −1 … 1; of the head's yaw against the body.
        period: (N, 9) s.
        phase: (N, 9) in shares of the period.
        ticks: length.
    """
    amplitude = share * CLASSROOM.high
    amplitude[:, YAW] = share[:, YAW] * CLASSROOM.relative_yaw
    time = np.arange(ticks)[:, None, None] / CONTROL_HZ
    requests = NEUTRAL + amplitude * np.where((time / period + phase) % 1.0 < 0.5, 1.0, -1.0)
    requests[..., YAW] += requests[..., BODY_YAW]
    return np.asarray(requests)


def axis_waves(ticks: int, periods: tuple[float, ...] = PERIODS) -> tuple[list[str], Array]:
    """A square wave along each axis alone, at each period in s; the antennas swing apart and together."""
    names, shares, lengths = [], [], []
    patterns = {name.removesuffix(".pos"): np.eye(9)[axis] for axis, name in enumerate(ACTION_NAMES[: ANTENNAS.start])}
    patterns["antennas apart"] = np.array([*7 * (0.0,), 1.0, -1.0])
    patterns["antennas together"] = np.array([*7 * (0.0,), 1.0, 1.0])
    for name, pattern in patterns.items():
        for period in periods:
            names.append(f"{name}, {period} s")
            shares.append(pattern)
            lengths.append(np.full(9, period))
    return names, waves(np.array(shares), np.array(lengths), np.zeros((len(names), 9)), ticks)


def random_requests(rng: np.random.Generator, count: int, ticks: int) -> Array:
    """Jumps to random poses of the box: each axis is renewed every third of a second on average, half at an edge."""
    requests = np.empty((ticks, count, 9))
    pose = np.tile(NEUTRAL, (count, 1))
    for tick in range(ticks):
        share = rng.uniform(-1, 1, (count, 9))
        share = np.where(rng.random(share.shape) < 0.5, np.sign(share), share)
        goal = share * CLASSROOM.high
        goal[:, YAW] = pose[:, BODY_YAW] + share[:, YAW] * CLASSROOM.relative_yaw
        pose = np.where(rng.random(pose.shape) < 0.06, goal, pose)
        requests[tick] = pose
    return requests


def expert_requests(task: str, count: int) -> Array:
    """Actions of a task's expert in simulated episodes of its training variant."""
    envs = ReachyMiniVectorEnv(count, task=task, tier="kinematic", policy_hz=CONTROL_HZ)
    envs.reset(seed=list(range(count)))
    simulation = envs.simulation
    expert = expert_policy(task, CONTROL_HZ, count)
    expert.reset(np.arange(count), np.arange(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64))
    requests: list[Array] = []
    truncated: npt.NDArray[np.bool_] = np.zeros(count, dtype=np.bool_)
    while not truncated.any():
        requests.append(expert.act(simulation.view.state, simulation.features, simulation.applied))
        truncated = envs.step(requests[-1])[3]
    envs.close()
    return np.array(requests)


def recorded_requests(library: Path) -> tuple[list[str], Array]:
    """Moves of a library of recorded moves, each repeated to the length of the longest."""
    moves = read_moves(library)
    ticks = round(max(move.seconds for move in moves) * CONTROL_HZ)
    times = np.arange(ticks) / CONTROL_HZ
    requests = [[move.pose(time % max(move.seconds, 1 / CONTROL_HZ)) for time in times] for move in moves]
    return [move.name for move in moves], np.moveaxis(np.array(requests), 0, 1)
