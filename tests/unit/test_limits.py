"""The limits stay inside what the hardware can do, and inside what the daemon would alter."""

import numpy as np
import pytest

from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, HEAD, NEUTRAL, PITCH, ROLL, SLEEP, YAW
from reachy_kit.runtime.kinematics import BODY_YAW_LIMIT, STEWART_LIMITS, inverse_of_vector
from reachy_kit.runtime.kinematics.reach import in_reach
from reachy_kit.runtime.safety import CLASSROOM, RESTING

BODY_NO_LOAD, LEG_NO_LOAD, ANTENNA_NO_LOAD = np.array([81, 103, 383]) * 2 * np.pi / 60
"""rad/s at 5 V: XC330-M288-T, XL330-M288-T, XL330-M077-T (Robotis e-Manual)."""
DAEMON_RELATIVE_YAW = np.deg2rad(65.0)
PUBLISHED = {0: (-0.046, 0.050), 1: (-0.047, 0.047), 2: (-0.050, 0.023), ROLL: (-47, 47), PITCH: (-72, 48)}
"""Edges of reach from neutral along one axis, as limits.py's table has them: m and degrees."""


@pytest.mark.parametrize("profile", [CLASSROOM, RESTING], ids=lambda profile: profile.name)
def test_the_limits_are_inside_the_hardwares_and_the_daemons(profile):
    assert profile.high[BODY_YAW] < BODY_YAW_LIMIT
    assert profile.low[BODY_YAW] > -BODY_YAW_LIMIT
    assert profile.relative_yaw < DAEMON_RELATIVE_YAW
    assert (np.abs([profile.low[ANTENNAS], profile.high[ANTENNAS]]) < np.pi).all()
    assert profile.speed[BODY_YAW] < BODY_NO_LOAD / 3
    assert (profile.speed[ANTENNAS] < ANTENNA_NO_LOAD / 3).all()


def test_one_axis_of_the_head_at_full_speed_is_within_what_a_leg_can_turn():
    rng = np.random.default_rng(0)
    poses = np.zeros((20_000, 9))
    poses[:, HEAD] = rng.uniform(CLASSROOM.low[HEAD], CLASSROOM.high[HEAD], (20_000, 6))
    poses[:, YAW] *= CLASSROOM.relative_yaw / CLASSROOM.high[YAW]
    poses = poses[in_reach(poses)]
    for axis in range(6):
        near = poses.copy()
        near[:, axis] += 1e-7
        leg_speed = np.abs(inverse_of_vector(near) - inverse_of_vector(poses)) / 1e-7 * CLASSROOM.speed[axis]
        assert np.median(leg_speed) < LEG_NO_LOAD / 2
        assert np.mean(leg_speed > LEG_NO_LOAD) < 0.002  # where a leg is nearly stretched


@pytest.mark.parametrize("axis", PUBLISHED)
def test_the_published_edges_of_reach_are_the_legs(axis):
    edges = np.array(PUBLISHED[axis]) if axis < ROLL else np.deg2rad(PUBLISHED[axis])
    inside, outside = np.tile(NEUTRAL, (2, 1)), np.tile(NEUTRAL, (2, 1))
    inside[:, axis] = edges
    outside[:, axis] = edges + np.sign(edges) * (0.001 if axis < ROLL else np.deg2rad(1.0))
    low, high = STEWART_LIMITS.T
    assert ((inverse_of_vector(inside) >= low) & (inverse_of_vector(inside) <= high)).all()
    assert not in_reach(outside).any()


def test_a_policy_may_not_do_more_than_lying_down_needs():
    assert (RESTING.low <= CLASSROOM.low).all()
    for same in ("high", "speed", "acceleration", "lead"):
        np.testing.assert_array_equal(getattr(RESTING, same), getattr(CLASSROOM, same))
    assert (RESTING.low <= SLEEP).all()
    assert (RESTING.high >= SLEEP).all()
