"""Reaction on the base: which motions within the limits tip the robot on its table, or make it walk, and how much.

Try it: .venv/bin/python -m reachy_sim.tabletop.base_reaction --out runs/base
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL, Array
from reachy_kit.runtime.safety import CLASSROOM, LimitsProfile, Motion, limit
from reachy_kit.runtime.tasks.task_registry import own_task_names
from reachy_sim.dynamics.joints import commanded_joints
from reachy_sim.tabletop.base_motions import (
    PERIODS,
    axis_waves,
    expert_requests,
    random_requests,
    recorded_requests,
    waves,
)
from reachy_sim.tabletop.table_robots import FOOT_RADIUS, TABLE_FRICTION, TableConfig, TableRobots

SETTLE_TICKS = 50
"""Return to neutral after a motion, ticks: what the base has moved by then is walked."""
_POPULATION, _ELITE, _GENERATIONS = 64, 8, 12


@dataclass(frozen=True)
class BaseMotion:
    """What a batch of motions does to free bases."""

    walked: Array
    """(N,) m: way of the foot's edge from start to end, sliding and turning together."""
    turned: Array
    """(N,) rad: heading of the base at the end."""
    tilt: Array
    """(N,) rad: largest tilt."""
    seconds: float
    """Length of the motion, s."""

    @property
    def speed(self) -> Array:
        """(N,) m/s: walking speed of the foot's edge."""
        return self.walked / self.seconds


@dataclass(frozen=True)
class BaseLoad:
    """What a batch of motions asks of held bases, the worst physics step of each."""

    friction: Array
    """(N,) friction without which the foot slips."""
    tipping: Array
    """(N,) 1 lifts the foot's far edge."""


def carry_out(requests: Array, config: TableConfig, profile: LimitsProfile = CLASSROOM) -> BaseMotion:
    """Let robots with free bases carry out (ticks, N, 9) requests through the limiter, then return to neutral."""
    robots = TableRobots(requests.shape[1], config)
    tilt = np.zeros(robots.num_envs)

    def watch() -> None:
        np.maximum(tilt, robots.tilt, out=tilt)

    rest = np.tile(NEUTRAL, (SETTLE_TICKS, requests.shape[1], 1))
    _drive(robots, np.concatenate([requests, rest]), profile, watch)
    base = robots.base
    walked = np.hypot(base[:, 0], base[:, 1]) + FOOT_RADIUS * np.abs(base[:, 2])
    return BaseMotion(walked, base[:, 2], tilt, len(requests) / CONTROL_HZ)


def measure_load(requests: Array, *, real_torque: bool = False, profile: LimitsProfile = CLASSROOM) -> BaseLoad:
    """Let robots with held bases carry out (ticks, N, 9) requests through the limiter."""
    robots = TableRobots(requests.shape[1], TableConfig(held=True, real_torque=real_torque))
    friction, tipping = np.zeros(robots.num_envs), np.zeros(robots.num_envs)

    def watch() -> None:
        for reaction in robots.reactions:
            np.maximum(friction, reaction.friction, out=friction)
            np.maximum(tipping, reaction.tipping, out=tipping)

    _drive(robots, requests, profile, watch)
    return BaseLoad(friction, tipping)


def _drive(robots: TableRobots, requests: Array, profile: LimitsProfile, watch: Callable[[], None]) -> None:
    robots.reset(NEUTRAL)
    motion = Motion.at_rest(np.tile(NEUTRAL, (robots.num_envs, 1)))
    for request in requests:
        motion, _ = limit(motion.position, motion, request, profile)
        robots.step(commanded_joints(motion))
        watch()


def worst_waves(score: Callable[[Array], Array], ticks: int, seed: int = 0) -> tuple[float, Array]:
    """Search for the square waves with the highest score, by the cross-entropy method.

    Args:
        score: (N,) of (ticks, N, 9) requests.
        ticks: length of the waves.
        seed: of the search.

    Returns:
        The highest score and its (ticks, 9) requests.

    Source: Rubinstein 1999; amplitudes, periods and phases of nine axes, 27 numbers.
    """
    rng = np.random.default_rng(seed)
    low, high = np.log(PERIODS[0]), np.log(PERIODS[-1])
    mean = np.concatenate([np.zeros(9), np.full(9, (low + high) / 2), np.full(9, 0.5)])
    spread = np.concatenate([np.full(9, 0.8), np.full(9, (high - low) / 2), np.full(9, 0.3)])
    best, worst = -np.inf, np.tile(NEUTRAL, (ticks, 1))
    for _ in range(_GENERATIONS):
        drawn = mean + spread * rng.normal(size=(_POPULATION, 27))
        share, period, phase = np.clip(drawn[:, :9], -1, 1), np.exp(np.clip(drawn[:, 9:18], low, high)), drawn[:, 18:]
        requests = waves(share, period, phase, ticks)
        scores = score(requests)
        order = np.argsort(-scores)
        if scores[order[0]] > best:
            best, worst = float(scores[order[0]]), requests[:, order[0]].copy()
        elite = drawn[order[:_ELITE]]
        mean, spread = elite.mean(axis=0), elite.std(axis=0) + 0.02
    return best, worst


def motions(ticks: int, library: Path | None) -> dict[str, tuple[list[str], Array]]:
    """Families of motions with the names of their members."""
    families = {"waves along one axis": axis_waves(ticks)}
    random = random_requests(np.random.default_rng(0), 32, ticks)
    families["random requests"] = [f"random {index}" for index in range(32)], random
    for task in own_task_names():
        requests = expert_requests(task, 16)
        families[f"expert, {task}"] = [f"{task} {index}" for index in range(16)], requests
    if library:
        families["recorded moves"] = recorded_requests(library)
    return families


@dataclass(frozen=True)
class FamilyResult:
    """The worst member of a family of motions on one kind of table."""

    family: str
    friction: float
    real_torque: bool
    walking: float
    """mm/s, of the foot's edge."""
    walker: str
    tilt: float
    """Degrees."""

    def format(self) -> str:
        """Format a line of the report."""
        motors = "data sheet" if self.real_torque else "simulated"
        return (
            f"{self.family:>22}  friction {self.friction:.1f}, {motors:>10} torque: walks {self.walking:7.3f} mm/s, "
            f"tilts {self.tilt:.3f}°  ({self.walker})"
        )


def evaluate(family: str, names: list[str], requests: Array, config: TableConfig) -> FamilyResult:
    """Carry out a family of motions on one kind of table."""
    result = carry_out(requests, config)
    first = int(np.argmax(result.speed))
    walking, tilt = 1e3 * float(result.speed[first]), float(np.rad2deg(result.tilt.max()))
    return FamilyResult(family, config.friction, config.real_torque, walking, names[first], tilt)


def main() -> None:
    """Carry out families of motions on tables of different friction; print who walks and who tips."""
    parser = argparse.ArgumentParser(description=main.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/base"), help="folder of the JSON")
    parser.add_argument("--moves", type=Path, help="a library of recorded moves, as another family")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a wave")
    options = parser.parse_args()
    if not options.seconds >= 1.0:
        parser.error("--seconds must be 1 or more")
    try:
        write_report(options.out, round(options.seconds * CONTROL_HZ), options.moves)
    except KitError as error:
        parser.exit(error.exit_code, f"error: {error}\n")


def write_report(out: Path, ticks: int, library: Path | None) -> None:
    """Write the JSON, and print a line for each figure.

    Raises:
        KitError: the library cannot be read.
    """
    families = motions(ticks, library)
    results, loads = [], {}
    for family, (names, requests) in families.items():
        for real_torque in (False, True):
            load = measure_load(requests, real_torque=real_torque)
            friction, tipping = float(load.friction.max()), float(load.tipping.max())
            loads[f"{family}, {'data sheet' if real_torque else 'simulated'}"] = friction, tipping
            worst = names[int(np.argmax(load.friction))]
            print(f"{family:>22}  needs friction {friction:.2f} ({worst}); tipping {tipping:.2f}")
            for table in TABLE_FRICTION:
                results.append(evaluate(family, names, requests, TableConfig(table, real_torque=real_torque)))
                print(results[-1].format())
    out.mkdir(parents=True, exist_ok=True)
    (out / "base.json").write_text(json.dumps({"free": [asdict(r) for r in results], "held": loads}, indent=2) + "\n")
    print(f"written: {out / 'base.json'}")


if __name__ == "__main__":
    main()
