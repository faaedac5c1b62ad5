"""Forward kinematics that follows: it stays on the head along any smooth way, and finds it again after a jump."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import NEUTRAL
from reachy_kit.runtime.kinematics import HeadTracker, forward, inverse_of_vector, reachable

SPREAD = np.array([0.008, 0.008, 0.01, 0.15, 0.2, 0.4, 1.0, 0.0, 0.0])
"""m and rad, of the swings; all of it in reach."""


def swings(seed, count, ticks=150):
    """(ticks, count, 9) smooth ways: three sines an axis, up to 1 Hz."""
    rng = np.random.default_rng(seed)
    time = np.arange(ticks)[:, None, None] / 50
    parts = [np.sin(2 * np.pi * (rng.uniform(0.1, 1.0, (count, 9)) * time + rng.random((count, 9)))) for _ in range(3)]
    way = NEUTRAL + SPREAD * np.mean(parts, axis=0)
    way[..., 5] += way[..., 6]
    return way


def follow(tracker, pose):
    tracker.follow(inverse_of_vector(pose), pose[:, 6])


def errors(tracker, pose):
    """rad and m, the largest of any entry of the rotations and of the positions."""
    wanted = pose_from_vector(pose)
    return (
        np.abs(tracker.rotation - wanted[:, :3, :3]).max(axis=(1, 2)),
        np.abs(tracker.position - wanted[:, :3, 3]).max(axis=1),
    )


@given(seed=st.integers(0, 2**31))
@settings(max_examples=15)
def test_it_stays_on_the_head_along_any_smooth_way(seed):
    way = swings(seed, 12)
    assert reachable(pose_from_vector(way), way[..., 6]).all()
    tracker = HeadTracker(12)
    tracker.reset(np.arange(12), way[0])
    for pose in way[1:]:
        follow(tracker, pose)
        turned, moved = errors(tracker, pose)
        assert turned.max() < 1e-3
        assert moved.max() < 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_head_again_after_a_jump(seed):
    way = swings(seed, 50)
    tracker = HeadTracker(50)
    tracker.reset(np.arange(50), way[0])
    for tick in (0, 70, 20, 140, 5):  # from anywhere to anywhere, with a while of rest
        for _ in range(4):
            follow(tracker, way[tick])
        turned, moved = errors(tracker, way[tick])
        assert turned.max() < 1e-3
        assert moved.max() < 1e-4


def test_a_head_that_rests_is_exactly_where_the_legs_hold_it():
    pose = swings(1, 8)[40]
    tracker = HeadTracker(8)
    tracker.reset(np.arange(8), swings(1, 8)[38])
    for _ in range(6):
        follow(tracker, pose)
    exact = forward(inverse_of_vector(pose), pose[:, 6])
    np.testing.assert_allclose(tracker.rotation, exact[:, :3, :3], atol=1e-6)
    np.testing.assert_allclose(tracker.position, exact[:, :3, 3], atol=1e-7)


def test_legs_that_fit_no_pose_leave_the_head_on_its_body_and_spoil_no_neighbour():
    way = swings(2, 3)
    tracker, undisturbed = HeadTracker(3), HeadTracker(3)
    for each in (tracker, undisturbed):
        each.reset(np.arange(3), way[0])
    for pose in way[1:20]:
        legs = inverse_of_vector(pose)
        undisturbed.follow(legs, pose[:, 6])
        torn = legs.copy()
        torn[1] = [1.3, -1.3, -0.8, 0.8, 1.3, -1.3]
        tracker.follow(torn, pose[:, 6])
        assert np.isfinite(tracker.rotation).all()
    np.testing.assert_array_equal(tracker.rotation[[0, 2]], undisturbed.rotation[[0, 2]])
    for _ in range(4):
        follow(tracker, way[20])
    assert errors(tracker, way[20])[0].max() < 1e-3


@pytest.mark.parametrize("count", [1, 3, 1_100])
def test_a_head_moves_the_same_in_every_batch(count):
    way = np.repeat(swings(5, 1, ticks=30), count, axis=1)
    way[:, : count // 2] = swings(6, 1, ticks=30)
    single, among = HeadTracker(1), HeadTracker(count)
    single.reset(np.arange(1), way[0, -1:])
    among.reset(np.arange(count), way[0])
    for pose in way[1:]:
        follow(single, pose[-1:])
        follow(among, pose)
        np.testing.assert_array_equal(among.rotation[-1], single.rotation[0])
