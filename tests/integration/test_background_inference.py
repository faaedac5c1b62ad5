"""Inference beside the loop, on the real daemon."""

import threading
import time

import numpy as np
import pytest

from reachy_kit.runtime.inference.background_policy import BackgroundPolicy
from reachy_kit.runtime.inference.chunked import ChunkedPolicy
from reachy_kit.runtime.interface import NEUTRAL, YAW
from reachy_kit.runtime.robots.lifecycle import connected
from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig
from reachy_kit.runtime.rollout import rollout

HZ, CHUNK = 25, 8
LOOKING_LEFT = NEUTRAL + 0.3 * (np.arange(9) == YAW)
SLOW = 0.3
"""Time of a slow inference, s."""


class NoFeatures:
    """A perception of nothing."""

    names = ()

    def reset(self, seed): ...

    def perceive(self, observation):
        return np.zeros(0)


@pytest.fixture
def robot(daemon):
    with connected(SdkRobot(SdkRobotConfig(daemon.address.host, daemon.address.port))) as robot:
        yield robot


def run(robot, predict, seconds, **more):
    policy = BackgroundPolicy(ChunkedPolicy(predict, 2, 2), HZ)
    try:
        return rollout(robot, policy, seconds=seconds, policy_hz=HZ, perception=NoFeatures(), **more)
    finally:
        policy.close()


def looking_left(*inputs):
    return np.tile(LOOKING_LEFT.astype(np.float32), (1, CHUNK, 1))


def test_the_loop_ticks_on_while_inference_is_blocked_or_slow(robot):
    blocked, let_go = threading.Event(), threading.Event()
    ticks, yaws = [], []

    def block(*inputs):
        blocked.set()
        assert let_go.wait(30)
        return looking_left()

    def on_tick(tick):
        yaws.append(tick.action[YAW])
        if blocked.is_set() and not let_go.is_set():
            ticks.append(tick.index)
            if len(ticks) == 25:
                let_go.set()

    episode = run(robot, block, 1.2, on_tick=on_tick)
    assert len(ticks) == 25
    assert episode.steps == 30
    assert np.abs(yaws[: ticks[-1]]).max() < 1e-3  # without a plan it stays
    assert yaws[-1] == pytest.approx(LOOKING_LEFT[YAW], abs=0.02)

    def slow(*inputs):
        time.sleep(SLOW)
        return looking_left()

    periods = run(robot, slow, 2.0).periods
    assert np.percentile(periods, 80) < SLOW / 3, "in the loop, a quarter of the ticks would take 300 ms"
