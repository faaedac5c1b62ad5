"""The one control loop: recording, evaluation, deployment and the demo are this loop with other parts plugged in.

Try it: reachy-kit eval expert --task look_at --episodes 5
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import (
    ACTION_NAMES,
    NEUTRAL,
    Action,
    Array,
    Episode,
    Observation,
    Perception,
    Policy,
    Robot,
    Step,
    Subscriber,
    Truth,
    World,
)


def rollout(
    robot: Robot,
    policy: Policy,
    *,
    seconds: float,
    policy_hz: int,
    seed: int = 0,
    perception: Perception | None = None,
    world: World | None = None,
    subscribers: Sequence[Subscriber] = (),
) -> Episode:
    """Run one episode.

    Args:
        robot: connected; it owns the clock.
        policy: decides ``policy_hz`` times a second; between decisions its targets are interpolated.
        seconds: length of the episode on the robot's clock.
        policy_hz: a divisor of the robot's ``control_hz``.
        seed: of the world's initial state and the perception's noise.
        perception: fills ``environment_state``; without one it stays as the robot gives it.
        world: ground truth, where there is one.
        subscribers: told of the start, each step and the regular end. An exception passes through to the caller: an
            aborted episode is never announced as ended.

    Raises:
        WrongUseError: the rates do not fit.
        RefusedError: the policy returned something that is not nine finite numbers.
    """
    if robot.control_hz % policy_hz:
        raise WrongUseError(f"policy rate {policy_hz} Hz does not divide the robot's {robot.control_hz} Hz")
    ticks = robot.control_hz // policy_hz
    start = world.reset(seed) if world else NEUTRAL.copy()
    robot.reset(start)
    policy.reset()
    if perception:
        perception.reset(seed)
    for subscriber in subscribers:
        subscriber.on_episode_start(seed)

    observation = robot.get_observation()
    if world:
        world.start(observation.capture_time)
    applied = start
    observation = _perceived(observation, perception, applied)
    truths: list[Truth] = []
    starts: list[float] = []
    work: list[float] = []
    steps = round(seconds * policy_hz)
    tick_start = time.perf_counter()
    for index in range(steps):
        previous = applied
        target = _checked(policy.act(observation))
        for tick in range(1, ticks + 1):
            applied = robot.send_action(previous + (target - previous) * (tick / ticks))
            starts.append(tick_start)
            work.append(time.perf_counter() - tick_start)
            robot.wait_next_tick()
            tick_start = time.perf_counter()
        seen, observation = observation, robot.get_observation()
        truth = world.measure(observation) if world else None
        observation = _perceived(observation, perception, applied)
        if truth:
            truths.append(truth)
        step = Step(index, seen, applied, truth)
        for subscriber in subscribers:
            subscriber.on_step(step)

    episode = _summary(seed, steps, truths, policy_hz, np.diff(starts), np.array(work))
    for subscriber in subscribers:
        subscriber.on_episode_end(episode)
    return episode


def _perceived(observation: Observation, perception: Perception | None, applied: Action) -> Observation:
    features = perception.perceive(observation) if perception else observation.environment_state
    return replace(observation, environment_state=features, last_action=applied)


def _checked(action: Action) -> Action:
    """A policy that has lost its mind stops the episode here, before the motors."""
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


def _summary(seed: int, steps: int, truths: Sequence[Truth], policy_hz: int, periods: Array, work: Array) -> Episode:
    if not truths:
        return Episode(seed, steps, None, None, None, periods, work)
    last_second = [truth.gaze_error for truth in truths[-policy_hz:]]
    return Episode(
        seed=seed,
        steps=steps,
        success=truths[-1].success,
        gaze_error=float(np.mean(last_second)),
        reward=float(np.mean([truth.reward for truth in truths])),
        periods=periods,
        work=work,
    )
