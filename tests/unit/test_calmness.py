"""Calmness: the head's speed while the target stands still."""

import numpy as np
import pytest

from reachy_kit.runtime.interface import NEUTRAL, YAW
from reachy_kit.runtime.robots.calmness import SETTLED, Calmness, measure_calmness

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
