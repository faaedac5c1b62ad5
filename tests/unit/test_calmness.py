"""Calmness: the head's speed while the target stands still."""

import numpy as np
import pytest

from reachy_kit.runtime.interface import NEUTRAL, YAW, Observation, Step
from reachy_kit.runtime.perception.sound import BEAT_FEATURES
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_kit.runtime.robots.calmness import SETTLED, Calmness, CalmnessMeter, measure_calmness

HZ = 25
TIMES = np.arange(0, 6, 1 / HZ)


def states(yaw):
    rows = np.tile(NEUTRAL, (len(TIMES), 1))
    rows[:, YAW] = yaw
    return rows


def direction(left):
    left = np.broadcast_to(left, TIMES.shape)
    return np.stack([np.cos(left), np.sin(left), np.zeros_like(left)], axis=-1)


def test_it_is_the_speed_of_a_head_that_trembles():
    trembling = 0.01 * (np.arange(len(TIMES)) % 2)
    measured = measure_calmness(TIMES, states(trembling), direction(0.2))
    assert measured.speed == pytest.approx(0.01 * HZ)
    assert measured.seconds == pytest.approx(6 - SETTLED, abs=0.2)


def test_a_head_at_rest_is_calm_and_its_turn_to_the_target_does_not_count():
    turned = np.minimum(TIMES, 1.0)
    assert measure_calmness(TIMES, states(turned), direction(0.2)).speed == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "left", [0.3 * np.sin(2 * np.pi * 0.2 * TIMES), np.nan, np.where(TIMES % 1.5 < 0.1, np.nan, 0.2)],
    ids=["moves", "never seen", "seen in parts"],
)  # fmt: skip
def test_there_is_none_where_the_target_does_not_stand_still_for_long(left):
    assert measure_calmness(TIMES, states(0.0), direction(left)) is None


def test_noise_of_a_detector_does_not_count_as_motion_of_the_target():
    noisy = 0.2 + np.random.default_rng(0).normal(0, np.deg2rad(0.25), len(TIMES))
    assert measure_calmness(TIMES, states(0.0), direction(noisy)).seconds > 3


def test_episodes_weigh_by_their_time():
    assert Calmness.over([Calmness(1.0, 1.0), None, Calmness(4.0, 2.0)]) == Calmness(3.0, 3.0)
    assert Calmness.over([None]) is None


@pytest.mark.parametrize(("features", "measured"), [(TARGET_FEATURES, True), (BEAT_FEATURES, False)])
def test_what_is_heard_is_not_taken_for_what_is_seen(features, measured):
    """Both are five numbers."""
    meter = CalmnessMeter(features)
    meter.on_episode_start(0)
    for index, time in enumerate(TIMES):
        seen = Observation(NEUTRAL, time, environment_state=np.array([0.1, 0.0, 0.02, 1.0, 0.0]))
        meter.on_step(Step(index, seen, NEUTRAL, None, seen, NEUTRAL))
    meter.on_episode_end(None)
    assert (meter.calmness is not None) == measured
