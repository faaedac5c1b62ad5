"""Evaluation of one policy on one robot, over seeded episodes of the robot's own control loop.

Try it: reachy-kit eval expert --task look_at --episodes 20
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reachy_kit.runtime.interface import (
    Array,
    EndReason,
    Episode,
    Perception,
    Policy,
    Robot,
    Step,
    TaskError,
    Tick,
    World,
)
from reachy_kit.runtime.robots.calmness import Calmness, CalmnessMeter
from reachy_kit.runtime.robots.loop_rate import LoopRate, measure_rate
from reachy_kit.runtime.rollout import rollout
from reachy_policies.evaluation.statistics.intervals import Estimate, wilson_interval


@dataclass(frozen=True)
class Evaluation:
    """Episodes of one policy on one robot, in the order of their seeds."""

    policy: str
    robot: str
    wall_clock: bool
    """Whether the robot ran in real time; only then do the periods of its ticks mean something."""
    policy_hz: int
    episodes: list[Episode]
    error: TaskError
    """Name and unit of the task's error."""
    task_errors: Array
    """(episodes, steps) error after each decision, in the unit of ``Truth.task_error``."""
    states: Array
    """(episodes, steps, 9) measured after each decision, in the order of ``ACTION_NAMES``."""
    targets: Array
    """(episodes, steps, 3) m, base frame, after each decision."""
    calmness: Calmness | None = None
    """Speed of the head while the target stands still; None where it never does."""
    first_episode: list[Step] = field(default_factory=list)
    """Every step of the first episode, with its camera frames where the robot has a camera."""

    @property
    def successes(self) -> list[bool]:
        """Outcome of each episode."""
        return [bool(episode.success) for episode in self.episodes]

    @property
    def success(self) -> Estimate:
        """Success rate with its 95 % interval."""
        return wilson_interval(sum(self.successes), len(self.successes))

    @property
    def task_error(self) -> Estimate:
        """Median over the episodes of the last second's mean error, in the unit of ``Truth.task_error``.

        Its bounds are the quartiles.
        """
        middle, low, high = np.percentile([episode.task_error for episode in self.episodes], [50, 25, 75])
        return Estimate(float(middle), float(low), float(high))

    @property
    def rate(self) -> LoopRate | None:
        """Rate of the control loop; None in simulated time, which is never late."""
        return measure_rate(self.episodes) if self.wall_clock else None

    def work_ms(self) -> dict[str, float]:
        """50th and 99th percentile of the time that a tick worked before it waited, ms."""
        work = np.concatenate([episode.work for episode in self.episodes]) * 1e3
        return {"p50": _percentile(work, 50), "p99": _percentile(work, 99)}

    def summary(self) -> dict[str, Any]:
        """Return everything as JSON; the error in the unit that people read, times in ms."""
        error = {name: round(self.error.scale * value, 3) for name, value in vars(self.task_error).items()}
        return {
            "policy": self.policy,
            "robot": self.robot,
            "episodes": len(self.episodes),
            "seeds": [episode.seed for episode in self.episodes],
            "successes": self.successes,
            "success": vars(self.success),
            "error": {
                "name": self.error.name,
                "unit": self.error.unit,
                "median": error["value"],
                "quartiles": [error["low"], error["high"]],
            },
            "calmness": self.calmness and self.calmness.summary(),
            "reward": float(np.mean([episode.reward for episode in self.episodes])),
            "work_ms": self.work_ms(),
            "rate": self.rate and self.rate.summary(),
        }


def evaluate_policy(
    label: str,
    robot: Robot,
    policy: Policy,
    *,
    seeds: Sequence[int],
    seconds: float,
    policy_hz: int,
    perception: Perception,
    world: World,
    wall_clock: bool,
    error: TaskError,
    on_episode: Callable[[Episode], None] = lambda episode: None,
    on_tick: Callable[[Tick], None] = lambda tick: None,
    stop: Callable[[], EndReason | None] = lambda: None,
) -> Evaluation:
    """Run one episode for each seed. The seeds alone decide the initial states, so two evaluations are paired.

    Args:
        label: the policy's name in tables.
        robot: a connected robot.
        policy: the policy to evaluate.
        seeds: one per episode.
        seconds: length of an episode.
        policy_hz: decisions per second.
        perception: computes the features.
        world: computes errors, rewards and success.
        wall_clock: whether the robot runs in real time.
        error: name and unit of the task's error.
        on_episode: called after each episode.
        on_tick: called at the start of each control tick.
        stop: asked at each control tick; a reason ends the episode.
    """
    trace, meter = _Trace(), CalmnessMeter(perception.names)
    episodes = []
    for seed in seeds:
        episode = rollout(
            robot,
            policy,
            seconds=seconds,
            policy_hz=policy_hz,
            seed=seed,
            perception=perception,
            world=world,
            subscribers=[trace, meter],
            on_tick=on_tick,
            stop=stop,
        )
        episodes.append(episode)
        on_episode(episode)
    return Evaluation(
        policy=label,
        robot=robot.name,
        wall_clock=wall_clock,
        policy_hz=policy_hz,
        episodes=episodes,
        error=error,
        task_errors=np.array(trace.errors),
        states=np.array(trace.states),
        targets=np.array(trace.targets),
        calmness=meter.calmness,
        first_episode=trace.first,
    )


class _Trace:
    """A subscriber that keeps error, state and target of every step, and the whole first episode."""

    def __init__(self) -> None:
        self.errors: list[list[float]] = []
        self.states: list[list[Array]] = []
        self.targets: list[list[Array]] = []
        self.first: list[Step] = []

    def on_episode_start(self, seed: int) -> None:
        self.errors.append([])
        self.states.append([])
        self.targets.append([])

    def on_step(self, step: Step) -> None:
        assert step.truth is not None
        self.errors[-1].append(step.truth.task_error)
        self.states[-1].append(step.next_observation.state)
        self.targets[-1].append(step.truth.target)
        if len(self.errors) == 1:
            self.first.append(step)

    def on_episode_end(self, episode: Episode) -> None:
        """Do nothing."""


def _percentile(values: Array, share: float) -> float:
    return round(float(np.percentile(values, share)), 3)
