"""Benchmarks of the simulator: its tiers against raw physics and against the rates that learning wants."""

import subprocess
import sys
import time

import gymnasium
import numpy as np
import psutil

import reachy_sim  # noqa: F401  (registers the environments)
from reachy_kit.runtime.interface import NEUTRAL
from reachy_kit.runtime.tasks.task_registry import task_spec

TRACK = task_spec("track").gym_id
REACH = np.array([0.002, 0.002, 0.003, 0.04, 0.25, 0.6, 0.5, 0.5, 0.5])
"""Amplitudes of smooth motion on all nine axes, as a gaze and a nod need it, m and rad."""


def motion(count: int, ticks: int = 200) -> np.ndarray:
    """Targets (ticks, count, 9) at 25 Hz, with other swings for every environment."""
    rng = np.random.default_rng(0)
    frequency, phase = rng.uniform(0.1, 0.5, (count, 9)), rng.uniform(0, 2 * np.pi, (count, 9))
    time = np.arange(ticks)[:, None, None] / 25
    return NEUTRAL + REACH * np.sin(2 * np.pi * frequency * time + phase)


def rate(count: int, tier: str, seconds: float = 3.0, threads: int = 2, processes: int = 1) -> float:
    """Control steps per second of one vector environment, two per decision."""
    envs = gymnasium.make_vec(
        TRACK, num_envs=count, tier=tier, threads=threads, processes=processes, autoreset_mode="SameStep"
    )
    envs.reset(seed=0)
    actions = motion(count)
    for warm in range(3):
        envs.step(actions[warm])
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        envs.step(actions[steps % len(actions)])
        steps += 1
    passed = time.perf_counter() - began
    envs.close()
    return 2 * steps * count / passed


def physics_batch() -> tuple[str, float, str, float]:
    """A control step of 64 environments on two threads, against raw mjbatch; limit: 1/0.85 of it."""
    from mjbatch import Batch

    from reachy_sim.dynamics.joints import joint_targets
    from reachy_sim.dynamics.physics_tier import Physics

    physics = Physics(64, threads=2)
    raw = Batch(physics.model, 64, 2)
    control = raw.bind("ctrl")
    targets = joint_targets(motion(64))

    def raw_rate() -> float:
        steps, began = 0, time.perf_counter()
        while time.perf_counter() - began < 3.0:
            control[:] = targets[steps // 2 % len(targets)]
            raw.step(nstep=10)
            steps += 1
        return 64 * steps / (time.perf_counter() - began)

    theirs, ours = [], []
    for _ in range(3):  # alternately: a busy machine slows both
        theirs.append(raw_rate())
        ours.append(rate(64, "physics", 3.0))
    return "physics, 64 environments, a control step", 1 / np.median(ours), "raw mjbatch", 1 / np.median(theirs)


def single_environment() -> tuple[str, float, str, float]:
    """What one environment adds to its physics at a control step, against the limit of 300 µs."""
    from reachy_sim.dynamics.joints import joint_targets
    from reachy_sim.dynamics.physics_tier import Physics

    physics = Physics(1, threads=1)
    target = joint_targets(NEUTRAL)[None]
    environment = gymnasium.make(TRACK, policy_hz=50).unwrapped
    action = NEUTRAL.astype(np.float32)
    added = []
    for _ in range(7):
        environment.reset(seed=0)
        began = time.perf_counter()
        for _ in range(100):
            environment.step(action)
        whole = time.perf_counter() - began
        began = time.perf_counter()
        for _ in range(100):
            physics._ctrl[:] = target
            physics._batch.step(nstep=10)
        added.append((whole - (time.perf_counter() - began)) / 100)
    return "one environment, over its physics", float(np.median(added)), "a limit of", 300e-6


def kinematic_batch() -> tuple[str, float, str, float]:
    """A control step of 1,024 environments in one process, on one core, against a limit of 300,000 per second."""
    return "kinematic, 1,024 environments, a control step", 1 / rate(1024, "kinematic", 6.0), "a limit of", 1 / 300_000


def kinematic_pair() -> tuple[str, float, str, float]:
    """The same 1,024 shared by two worker processes, one per core."""
    return "the same with processes=2", 1 / rate(1024, "kinematic", 6.0, processes=2), "a limit of", 1 / 300_000


def kinematic_wide_pair() -> tuple[str, float, str, float]:
    """Twice as many environments, a thousand per process."""
    return "2,048 with processes=2", 1 / rate(2048, "kinematic", 6.0, processes=2), "a limit of", 1 / 300_000


def linearity() -> tuple[str, float, str, float]:
    """Time per step of a kinematic environment among 4,096, against among 512."""
    many, few = rate(4096, "kinematic", 4.0), rate(512, "kinematic", 4.0)
    return "kinematic, one of 4,096", 1 / many, "one of 512", 1 / few


def memory(tier: str) -> float:
    """Memory of one environment, KB, measured on 2,000 of them in a separate process; not a time."""
    result = subprocess.run([sys.executable, __file__, tier], capture_output=True, text=True, check=True)
    return float(result.stdout)


def _memory_here(tier: str) -> float:
    process = psutil.Process()
    gymnasium.make_vec(TRACK, num_envs=1, tier=tier).reset(seed=0)
    before = process.memory_info().rss
    envs = gymnasium.make_vec(TRACK, num_envs=2000, tier=tier)
    envs.reset(seed=0)
    envs.step(motion(2000, 1)[0])
    return (process.memory_info().rss - before) / 2000 / 1e3


if __name__ == "__main__":
    print(_memory_here(sys.argv[1]))
