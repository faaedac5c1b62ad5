"""The resting profile: from any pose of the legs down to the sleep pose, and from there up to neutral."""

import numpy as np
import pytest

from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import BODY_YAW, CONTROL_HZ, NEUTRAL, SLEEP, YAW
from reachy_kit.runtime.kinematics import BODY_YAW_LIMIT, forward, inverse_of_vector, reachable
from reachy_kit.runtime.safety import CLASSROOM, RESTING, Limited, Motion, limit

ROUNDING = 1e-12


def is_reachable(position):
    return reachable(pose_from_vector(position), position[..., BODY_YAW])


def random_poses(rng, count):
    """(about count, 9) wherever another program may have left the robot: far out of the box, in the daemon's limits."""
    poses = np.zeros((12 * count, 9))
    poses[:, :3] = rng.uniform(-0.06, 0.06, (12 * count, 3))
    poses[:, 3:5] = rng.uniform(-0.9, 0.9, (12 * count, 2))
    poses[:, BODY_YAW] = rng.uniform(-BODY_YAW_LIMIT, BODY_YAW_LIMIT, 12 * count)
    poses[:, YAW] = poses[:, BODY_YAW] + rng.uniform(-1.13, 1.13, 12 * count)
    poses[:, 7:] = rng.uniform(-np.pi, np.pi, (12 * count, 2))
    poses = poses[is_reachable(poses)]
    assembled = forward(inverse_of_vector(poses), poses[:, BODY_YAW])  # elsewhere beyond the platform's singularity
    return poses[np.abs(assembled - pose_from_vector(poses)).max(axis=(1, 2)) < 1e-6]


def go(start, goal, trail=0.0):
    """Positions (300, N, 9) on the way to a steady request, the robot a share of each step behind."""
    motion, state, way = Motion.at_rest(start), start, []
    for _ in range(300):
        motion, flags = limit(state, motion, np.broadcast_to(goal, start.shape), RESTING)
        state = motion.position + trail * (state - motion.position)
        way.append(motion.position)
    return np.array(way), flags


@pytest.mark.parametrize("trail", [0.0, 0.7], ids=["close behind", "slow motors"])
def test_from_any_reachable_pose_the_robot_lies_down_without_leaving_reach_or_jumping(trail):
    poses = random_poses(np.random.default_rng(1), 500)
    assert len(poses) > 300
    way, flags = go(poses, SLEEP, trail)
    assert is_reachable(way).all()
    steps = np.abs(np.diff(way, axis=0, prepend=poses[None]))
    assert (steps <= RESTING.speed / CONTROL_HZ + ROUNDING).all()
    np.testing.assert_allclose(way[-1], np.broadcast_to(SLEEP, poses.shape), rtol=0, atol=ROUNDING)
    assert not flags.any()


def test_from_the_sleep_pose_the_robot_gets_up_without_leaving_reach_or_jumping():
    way, flags = go(SLEEP[None], NEUTRAL)
    assert is_reachable(way).all()
    steps = np.abs(np.diff(way, axis=0, prepend=SLEEP[None, None]))
    assert (steps <= RESTING.speed / CONTROL_HZ + ROUNDING).all()
    np.testing.assert_allclose(way[-1, 0], NEUTRAL, rtol=0, atol=ROUNDING)
    assert not flags.any()


def test_the_sleep_pose_is_allowed_at_rest_and_not_to_a_policy():
    at_sleep = Motion.at_rest(SLEEP)
    assert limit(SLEEP, at_sleep, SLEEP, RESTING)[1] == 0
    assert limit(SLEEP, at_sleep, SLEEP, CLASSROOM)[1] & Limited.WORKSPACE


def test_nowhere_in_the_resting_box_does_the_platform_pass_its_singularity():
    rng = np.random.default_rng(2)
    share = rng.random((60_000, 9))
    share = np.where(rng.random(share.shape) < 0.5, np.round(share), share)
    poses = RESTING.low + share * (RESTING.high - RESTING.low)
    poses[:, BODY_YAW] = 0.0
    poses[:, YAW] = RESTING.relative_yaw * (2 * share[:, YAW] - 1)
    poses = poses[is_reachable(poses)]
    assert len(poses) > 10_000
    assembled = forward(inverse_of_vector(poses), poses[:, BODY_YAW])
    np.testing.assert_allclose(assembled, pose_from_vector(poses), rtol=0, atol=1e-6)
