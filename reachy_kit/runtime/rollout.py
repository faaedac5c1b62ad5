"""The one control loop: recording, evaluation, deployment and the demo are this loop with other parts plugged in.

Try it: reachy-kit eval expert --task look_at --episodes 5
"""

import itertools
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import (
    ACTION_NAMES,
    CONTROL_HZ,
    NEUTRAL,
    POLICY_RATES,
    Action,
    Array,
    EndReason,
    Episode,
    Observation,
    Perception,
    Policy,
    Robot,
    Step,
    Subscriber,
    Tick,
    TickTiming,
    Truth,
    World,
)
from reachy_kit.runtime.interpolation import interpolate

PAUSED_AFTER = 0.1
"""Time in ``on_tick`` from which on it was a pause, s: five ticks. What is shorter is a tick that was late."""
_KEPT_TICKS = 3600 * CONTROL_HZ
"""Ticks whose times an episode keeps at least; it drops older ones when it has twice as many."""


def rollout(
    robot: Robot,
    policy: Policy,
    *,
    seconds: float | None,
    policy_hz: int,
    seed: int = 0,
    perception: Perception | None = None,
    world: World | None = None,
    start: Array | None = None,
    subscribers: Sequence[Subscriber] = (),
    stop: Callable[[], EndReason | None] = lambda: None,
    on_tick: Callable[[Tick], None] = lambda tick: None,
    on_timing: Callable[[TickTiming], None] = lambda timing: None,
) -> Episode:
    """Run one episode.

    Each control tick calls ``on_tick``, asks ``stop``, decides if a decision is due, commands the robot and waits for
    its next tick. Nothing steers the loop by raising an exception through it: one aborts the episode.

    Args:
        robot: connected; it owns the clock.
        policy: decides ``policy_hz`` times per second; between decisions its targets are interpolated.
        seconds: length of the episode on the robot's clock; None = until ``stop`` ends it.
        policy_hz: a divisor of the robot's ``control_hz``.
        seed: of the world's initial state and the perception's noise.
        perception: fills ``environment_state``; without one it stays as the robot gives it.
        world: ground truth, where there is one.
        start: (9,) pose from which the robot starts; None for the world's, or neutral where there is none.
        subscribers: called at the start, after each step and at the end, early or not; not after an exception.
        stop: asked once per tick; a reason ends the episode before anything is commanded in that tick. A decision in
            progress is then cut short: it is not a step, and the robot stays at the action in force.
        on_tick: called at the start of each tick. It may block, which pauses the robot where it is; the pause is not
            part of the episode's length.
        on_timing: called in each tick once the robot is commanded, before the wait for the next one; it must not block.

    Raises:
        WrongUseError: the rates do not fit.
        RefusedError: the policy returned something that is not nine finite numbers.
    """
    if robot.control_hz % policy_hz:
        raise WrongUseError(
            f"policy rate {policy_hz} Hz does not divide the robot's {robot.control_hz} Hz: take one of "
            f"{', '.join(map(str, POLICY_RATES))}"
        )
    loop = _Loop(robot, policy, policy_hz, perception, world, subscribers, stop, on_tick, on_timing)
    return loop.run(seconds, seed, start)


@dataclass(frozen=True)
class _Loop:
    """Everything that is plugged together for an episode."""

    robot: Robot
    policy: Policy
    policy_hz: int
    perception: Perception | None
    world: World | None
    subscribers: Sequence[Subscriber]
    stop: Callable[[], EndReason | None]
    on_tick: Callable[[Tick], None]
    on_timing: Callable[[TickTiming], None]

    def run(self, seconds: float | None, seed: int, start: Array | None) -> Episode:
        """Run the episode: the arguments are those of ``rollout``."""
        robot, ticks = self.robot, self.robot.control_hz // self.policy_hz
        applied, observation = self._start(seed, start)
        record = _Record(self.policy_hz, observation.capture_time)
        record.start_tick()
        for index in _indices(seconds, self.policy_hz, ticks):
            asked = time.perf_counter()
            self.on_tick(Tick(index, observation, applied))
            was_paused = time.perf_counter() - asked > PAUSED_AFTER
            end_reason = self.stop()
            if end_reason:
                break
            tick = index % ticks + 1
            if was_paused:
                now = robot.get_observation()
                record.leave_out_pause(now.capture_time - observation.capture_time - (tick - 1) / robot.control_hz)
                if tick == 1:  # the policy decides on what is there now
                    observation = self._perceive(now, applied)
            decision = None
            if tick == 1:
                previous, (target, decision) = applied, self._decide(observation)
            applied = robot.send_action(interpolate(previous, target, tick, ticks))
            self.on_timing(record.end_work(decision))
            robot.wait_next_tick()
            record.start_tick()
            if tick == ticks:
                before, observation = observation, robot.get_observation()
                truth = self.world.measure(observation) if self.world else None
                observation = self._perceive(observation, applied)
                record.add(truth, observation.capture_time)
                step = Step(index // ticks, before, applied, truth, observation, target)
                for subscriber in self.subscribers:
                    subscriber.on_step(step)
        else:
            end_reason = EndReason.COMPLETED

        episode = record.episode(seed, end_reason)
        for subscriber in self.subscribers:
            subscriber.on_episode_end(episode)
        return episode

    def _start(self, seed: int, start: Array | None) -> tuple[Action, Observation]:
        """Reset robot, world, perception and policy; returns the action in force and the first observation."""
        usual = self.world.reset(seed) if self.world else NEUTRAL.copy()
        start = usual if start is None else start
        self.robot.reset(start)
        self.policy.reset()
        if self.perception:
            self.perception.reset(seed)
        for subscriber in self.subscribers:
            subscriber.on_episode_start(seed)
        observation = self.robot.get_observation()
        if self.world:
            self.world.start(observation.capture_time)
        return start, self._perceive(observation, start)

    def _perceive(self, observation: Observation, applied: Action) -> Observation:
        """The observation with perception's features, and with the action in force."""
        features = self.perception.perceive(observation) if self.perception else observation.environment_state
        return replace(observation, environment_state=features, last_action=applied)

    def _decide(self, observation: Observation) -> tuple[Action, float]:
        """The policy's target, and the s that it took."""
        asked = time.perf_counter()
        action = self.policy.act(observation)
        return _checked(action), time.perf_counter() - asked


def _indices(seconds: float | None, policy_hz: int, ticks: int) -> Iterable[int]:
    """Indices of the control ticks of an episode; it lasts a whole number of decisions."""
    return itertools.count() if seconds is None else range(round(seconds * policy_hz) * ticks)


def _checked(action: Action) -> Action:
    """Refuse an action that is not nine finite numbers, before it reaches the motors."""
    values = np.asarray(action, dtype=np.float64)  # None, from a policy that forgot to return, has the shape ()
    what = ""
    if values.shape != (len(ACTION_NAMES),):
        what = f"shape {values.shape} instead of (9,)"
    elif not np.isfinite(values).all():
        broken = [name for name, value in zip(ACTION_NAMES, values, strict=True) if not np.isfinite(value)]
        what = f"not a number for {', '.join(broken)}"
    if what:
        raise RefusedError(f"the policy returned {what}; the robot was stopped. Train or export it again")
    return values


class _Record:
    """Data for an episode's summary. It stays small, because an episode without an end may last for days.

    Args:
        policy_hz: decisions per second.
        first_capture: time of the first observation, s on the robot's clock.
    """

    def __init__(self, policy_hz: int, first_capture: float) -> None:
        self._policy_hz, self._first_capture, self._last_capture = policy_hz, first_capture, first_capture
        self._steps = 0
        self._last_second: deque[Truth] = deque(maxlen=policy_hz)
        self._reward = 0.0
        self._periods, self._work = array("d"), array("d")
        self._tick_start = 0.0
        self._start_before: float | None = None

    def start_tick(self) -> None:
        """Note the start of a tick."""
        self._tick_start = time.perf_counter()

    def leave_out_pause(self, pause: float) -> None:
        """Leave a pause out of the episode's length and of the tick's.

        Args:
            pause: its length on the robot's clock, s; 0 where that stood still.
        """
        self._first_capture += max(pause, 0.0)
        self._start_before = None
        self.start_tick()

    def end_work(self, decision: float | None) -> TickTiming:
        """Note that the tick has commanded the robot.

        Args:
            decision: s that a decision took; None without one.

        Returns:
            How long the tick took.
        """
        work = time.perf_counter() - self._tick_start
        period = None if self._start_before is None else self._tick_start - self._start_before
        self._start_before = self._tick_start
        self._work.append(work)
        if period is not None:
            self._periods.append(period)
        if len(self._work) >= 2 * _KEPT_TICKS:
            del self._work[:_KEPT_TICKS], self._periods[:_KEPT_TICKS]
        return TickTiming(period, work, decision)

    def add(self, truth: Truth | None, capture_time: float) -> None:
        """Add a step that was carried out, and the time of the observation after it."""
        self._steps += 1
        self._last_capture = capture_time
        if truth:
            self._last_second.append(truth)
            self._reward += truth.reward

    def episode(self, seed: int, end_reason: EndReason) -> Episode:
        """Summary of the episode."""
        last = list(self._last_second)
        return Episode(
            seed=seed,
            steps=self._steps,
            success=last[-1].success if last else None,
            task_error=float(np.mean([truth.task_error for truth in last])) if last else None,
            reward=self._reward / self._steps if last else None,
            periods=np.array(self._periods),
            work=np.array(self._work),
            end_reason=end_reason,
            seconds=self._last_capture - self._first_capture,
            nominal_seconds=self._steps / self._policy_hz,
        )
