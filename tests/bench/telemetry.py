"""Measurements of telemetry: what it adds to a tick, and to the lateness of a 50 Hz loop while a scraper reads it."""

import functools
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np

from reachy_kit.runtime.interface import ACTION_NAMES, CONTROL_HZ, NEUTRAL, Action, Array, Observation
from reachy_kit.runtime.robots.pacer import TickPacer
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.safety import Limited, Motion, limit
from reachy_kit.runtime.telemetry.publishing import publishing
from reachy_kit.runtime.telemetry.run_meter import RunMeter

TICKS, ROUNDS = 2000, 7
SECONDS = 20.0
"""Length of a paced run, s."""


class LimitedRobot:
    """The limiter and a pacer, without a connection; it reports all that telemetry reads."""

    name, control_hz, state_age, camera_age = "127.0.0.1:8000", CONTROL_HZ, 0.01, 0.03
    observation_features = action_features = dict.fromkeys(ACTION_NAMES, float)

    def __init__(self, *, paced: bool) -> None:
        self._motion, self.limited = Motion.at_rest(NEUTRAL), Limited(0)
        self._pacer = TickPacer(CONTROL_HZ) if paced else None

    def connect(self) -> None: ...

    def disconnect(self) -> None: ...

    def reset(self, pose: Array) -> None:
        self._motion = Motion.at_rest(pose)
        if self._pacer:
            self._pacer.restart()

    def get_observation(self) -> Observation:
        return Observation(self._motion.position, time.monotonic())

    def send_action(self, action: Action) -> Action:
        self._motion, flags = limit(self._motion.position, self._motion, action)
        self.limited = Limited(int(flags))
        return self._motion.position

    def wait_next_tick(self) -> None:
        if self._pacer:
            self._pacer.wait()


class Nod:
    """A policy that asks for more than the limiter permits."""

    def __init__(self) -> None:
        self._decisions = 0

    def reset(self) -> None: ...

    def act(self, observation: Observation) -> Action:
        self._decisions += 1
        return NEUTRAL + 0.3 * np.sign(np.sin(0.2 * self._decisions)) * (np.arange(9) == 4)


def tick() -> tuple[str, float, str, float]:
    """A tick with the meter, against one without."""
    meter = RunMeter("bench")
    robot, policy = LimitedRobot(paced=False), Nod()
    meter.follow(robot, policy)

    def seconds(**metered: Callable[..., None]) -> float:
        started = time.thread_time()  # of the processor, whatever else runs
        rollout(robot, policy, seconds=TICKS / CONTROL_HZ, policy_hz=25, **metered)
        return (time.thread_time() - started) / TICKS

    rounds = [(seconds(on_timing=meter.tick), seconds()) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    return "processor time of a tick with telemetry", ours, "without", theirs


def lateness() -> tuple[str, float, str, float]:
    """The 99th percentile of the ticks' lateness, with a file, a port and a scraper that asks each second."""
    return f"lateness p99 of {SECONDS:.0f} s with telemetry", _lateness(True), "without", _lateness(False)


@functools.cache
def _lateness(published: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        log, metrics = (Path(folder, "run.jsonl"), "0") if published else (None, "")
        with publishing("bench", log, metrics, print) as meter:
            robot, policy, ended = LimitedRobot(paced=True), Nod(), threading.Event()
            meter.follow(robot, policy)

            def scrape() -> None:
                while not ended.wait(1.0):
                    urllib.request.urlopen(f"http://{meter.published_at}/metrics").read()

            scraper = threading.Thread(target=scrape)
            if published:
                scraper.start()
            episode = rollout(
                robot, policy, seconds=SECONDS, policy_hz=25, **({"on_timing": meter.tick} if published else {})
            )
            ended.set()
            if published:
                scraper.join()
    return float(np.percentile(np.abs(episode.periods - 1 / CONTROL_HZ), 99))
