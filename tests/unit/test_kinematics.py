"""Head kinematics against the SDK's own (Rust) kinematics, the robot's files, and itself.

Run: pytest tests/unit/test_kinematics.py
"""

import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reachy_kit.runtime import kinematics
from reachy_kit.runtime.kinematics import BODY_YAW_LIMIT, HEAD_Z_OFFSET, STEWART_LIMITS, forward, inverse, reachable

UNREACHABLE_Z = 0.5


def head_pose(x=0.0, y=0.0, z=0.0, roll=0.0, pitch=0.0, yaw=0.0):
    """(..., 4, 4) from m and rad, extrinsic xyz as in the SDK."""
    x, y, z, roll, pitch, yaw = np.broadcast_arrays(x, y, z, roll, pitch, yaw)
    (cr, cp, cy), (sr, sp, sy) = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    pose = np.zeros((*x.shape, 4, 4))
    pose[..., 0, :] = np.stack([cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr, x], axis=-1)
    pose[..., 1, :] = np.stack([sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr, y], axis=-1)
    pose[..., 2, :] = np.stack([-sp, cp * sr, cp * cr, z], axis=-1)
    pose[..., 3, 3] = 1
    return pose


def random_poses(count, shift=0.06, tilt=0.9, relative_yaw=1.4, seed=0):
    """Head poses (count, 4, 4) around the body, wherever it looks, and body yaws (count,); many are out of reach."""
    rng = np.random.default_rng(seed)
    body_yaw = rng.uniform(-BODY_YAW_LIMIT, BODY_YAW_LIMIT, count)
    x, y, z = rng.uniform(-shift, shift, (3, count))
    roll, pitch = rng.uniform(-tilt, tilt, (2, count))
    return head_pose(x, y, z, roll, pitch, body_yaw + rng.uniform(-relative_yaw, relative_yaw, count)), body_yaw


def random_reachable_poses(count, **spread):
    poses, body_yaw = random_poses(count, **spread)
    inside = reachable(poses, body_yaw)
    return poses[inside], body_yaw[inside]


def between(low, high):
    return st.floats(low, high, allow_nan=False)


everyday_poses = st.builds(
    head_pose, *[between(-0.02, 0.02)] * 3, *[between(-0.35, 0.35)] * 2, between(-1.13, 1.13)
)  # 2 cm, 20°, 65°
body_yaws = between(-BODY_YAW_LIMIT, BODY_YAW_LIMIT)


@pytest.fixture(scope="module")
def sdk_files():
    spec = find_spec("reachy_mini")  # finds, and does not import
    if spec is None or spec.origin is None:
        pytest.skip("reachy_mini is not installed")
    return Path(spec.origin).parent


@pytest.fixture(scope="module")
def sdk_data(sdk_files):
    return json.loads((sdk_files / "assets" / "kinematics_data.json").read_text())


@pytest.fixture(scope="module")
def sdk_inverse(sdk_data):
    """The SDK's inverse kinematics of one pose, set up as the SDK does."""
    rust = pytest.importorskip("reachy_mini_rust_kinematics")
    engine = rust.ReachyMiniRustKinematics(sdk_data["motor_arm_length"], sdk_data["rod_length"])
    for motor in sdk_data["motors"]:
        motor_to_world = np.linalg.inv(motor["T_motor_world"])
        engine.add_branch(motor["branch_position"], motor_to_world, 1 if motor["solution"] else -1)

    def solve(pose, body_yaw):
        raised = pose.copy()
        raised[2, 3] += sdk_data["head_z_offset"]
        return engine.inverse_kinematics(raised.tolist(), float(body_yaw))

    return solve


# The robot's own numbers


def test_the_constants_are_the_installed_sdks(sdk_data):
    motors = sdk_data["motors"]
    assert sdk_data["motor_arm_length"] == kinematics.MOTOR_ARM_LENGTH
    assert sdk_data["rod_length"] == kinematics.ROD_LENGTH
    assert sdk_data["head_z_offset"] == HEAD_Z_OFFSET
    assert [motor["name"] for motor in motors] == [f"stewart_{leg}" for leg in range(1, 7)]
    np.testing.assert_array_equal(kinematics.MOTOR_FROM_BODY, [motor["T_motor_world"][:3] for motor in motors])
    np.testing.assert_array_equal(kinematics.BRANCH_POINTS, [motor["branch_position"] for motor in motors])
    np.testing.assert_array_equal(kinematics.SOLUTION_SIGNS, [1 if motor["solution"] else -1 for motor in motors])


def test_the_joint_limits_are_the_robot_models(sdk_files):
    model = ElementTree.parse(sdk_files / "descriptions" / "reachy_mini" / "mjcf" / "reachy_mini.xml")
    ranges = {
        joint.get("name"): [float(bound) for bound in joint.get("range").split()]
        for joint in model.iter("joint")
        if joint.get("name") and joint.get("range")
    }
    np.testing.assert_allclose(STEWART_LIMITS, [ranges[f"stewart_{leg}"] for leg in range(1, 7)], atol=1e-9)
    np.testing.assert_allclose([-BODY_YAW_LIMIT, BODY_YAW_LIMIT], ranges["yaw_body"], atol=1e-9)


# Inverse


def test_leg_angles_agree_with_the_sdk_wherever_the_head_is(sdk_inverse):
    poses, body_yaw = random_poses(12_000)
    theirs = np.array([sdk_inverse(pose, yaw) for pose, yaw in zip(poses, body_yaw, strict=True)])
    ours = inverse(poses, body_yaw)
    assert np.isfinite(theirs).all(axis=-1).sum() > 3_000
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6, equal_nan=True)


@given(everyday_poses, body_yaws, between(-np.pi, np.pi))
def test_turning_head_and_body_together_moves_no_leg(pose, body_yaw, turn):
    turned = head_pose(yaw=turn) @ pose
    np.testing.assert_allclose(inverse(turned, body_yaw + turn), inverse(pose, body_yaw), atol=1e-9)


@pytest.mark.parametrize(
    "away",
    [{"z": UNREACHABLE_Z}, {"x": 0.3}, {"x": 1e9}, {"roll": np.pi, "z": 0.1}],
    ids=["up", "aside", "far", "over"],
)
def test_a_pose_out_of_reach_is_nan_without_a_warning(away):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(inverse(head_pose(**away), 0.0)).all()
        assert not reachable(head_pose(**away), 0.0)


def test_only_the_legs_that_cannot_reach_are_nan(sdk_inverse):
    pose = head_pose(y=0.03, z=0.02)
    unreached = np.isnan(inverse(pose, 0.0))
    assert 0 < unreached.sum() < 6
    np.testing.assert_array_equal(unreached, np.isnan(sdk_inverse(pose, 0.0)))


def test_an_unreachable_pose_does_not_spoil_its_neighbours():
    poses = head_pose(z=[0.0, UNREACHABLE_Z, 0.01])
    np.testing.assert_array_equal(inverse(poses, 0.0)[[0, 2]], inverse(poses[[0, 2]], 0.0))
    assert reachable(poses, 0.0).tolist() == [True, False, True]


# Reachable


def test_a_pose_that_solves_beyond_a_joint_limit_is_not_reachable():
    back = head_pose(x=-0.05)
    stewart = inverse(back, 0.0)
    assert stewart[0] == pytest.approx(1.477, abs=1e-3)
    assert stewart[0] > STEWART_LIMITS[0, 1]
    assert not reachable(back, 0.0)


def test_a_neutral_head_is_reachable_until_the_body_turns_away():
    assert reachable(head_pose(), np.deg2rad([-60, 0, 60])).all()
    assert not reachable(head_pose(), np.deg2rad([-150, 150])).any()


def test_reachable_means_every_leg_inside_its_limits():
    poses, body_yaw = random_poses(2_000)
    stewart = inverse(poses, body_yaw)
    expected = [
        all(low <= angle <= high for angle, (low, high) in zip(legs, STEWART_LIMITS, strict=True)) for legs in stewart
    ]
    assert 0 < sum(expected) < len(expected)
    np.testing.assert_array_equal(reachable(poses, body_yaw), expected)


# Forward


@given(everyday_poses, body_yaws)
def test_forward_undoes_inverse(pose, body_yaw):
    pose = head_pose(yaw=body_yaw) @ pose
    assume(reachable(pose, body_yaw))
    np.testing.assert_allclose(forward(inverse(pose, body_yaw), body_yaw), pose, rtol=0, atol=1e-8)


def test_forward_undoes_inverse_for_a_thousand_poses_at_once():
    poses, body_yaw = random_reachable_poses(3_000, shift=0.03, tilt=0.35, relative_yaw=1.13)
    assert len(poses) > 1_000
    np.testing.assert_allclose(forward(inverse(poses, body_yaw), body_yaw), poses, rtol=0, atol=1e-8)


def test_far_poses_come_back_exactly_or_as_another_that_the_same_angles_hold():
    poses, body_yaw = random_reachable_poses(12_000)
    stewart = inverse(poses, body_yaw)
    solved = forward(stewart, body_yaw)
    exact = np.abs(solved - poses).max(axis=(-2, -1)) < 1e-8
    assert exact.mean() > 0.85
    held = np.isfinite(solved[:, 0, 0])
    assert held.mean() > 0.999
    np.testing.assert_allclose(inverse(solved[held], body_yaw[held]), stewart[held], rtol=0, atol=1e-8)


def test_a_pose_beyond_the_singularity_needs_a_guess_near_it():
    pose = head_pose(x=0.05, z=-0.03, pitch=np.deg2rad(-40))
    assert reachable(pose, 0.0)
    stewart = inverse(pose, 0.0)
    assert np.abs(forward(stewart, 0.0) - pose).max() > 0.01
    near = head_pose(x=0.048, y=0.001, z=-0.031, pitch=np.deg2rad(-42))
    np.testing.assert_allclose(forward(stewart, 0.0, guess=near), pose, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "guess",
    [
        head_pose(x=0.01, pitch=0.2).round(2),
        np.full((4, 4), np.nan),
        np.zeros((4, 4)),
        head_pose(x=1e200),
        head_pose(roll=np.pi),
        head_pose(yaw=np.pi),
    ],
    ids=["rounded", "nan", "zeros", "far", "upside down", "backwards"],
)
def test_a_poor_guess_does_no_harm(guess):
    pose = head_pose(x=0.005, z=-0.01, pitch=0.2, yaw=0.4)
    np.testing.assert_allclose(forward(inverse(pose, 0.2), 0.2, guess=guess), pose, rtol=0, atol=1e-8)


def test_angles_that_no_pose_fits_are_nan_and_spoil_no_neighbour():
    pose = head_pose(z=0.01)
    good = inverse(pose, 0.0)
    impossible = STEWART_LIMITS[:, 1]  # odd motors up, even motors down
    solved = forward([good, impossible, np.full(6, np.nan), good], 0.0)
    np.testing.assert_allclose(solved[[0, 3]], [pose, pose], rtol=0, atol=1e-8)
    assert np.isnan(solved[1:3]).all()


def test_every_pose_that_forward_finds_is_upright_and_fits_the_rods():
    rng = np.random.default_rng(4)
    stewart = rng.uniform(-np.pi, np.pi, (4_000, 6))  # some end where the rods fit best, but not quite
    pose = forward(stewart, 0.0)
    solved = np.isfinite(pose).all(axis=(-2, -1))
    assert 0.1 < solved.mean() < 0.9
    assert np.isnan(pose[~solved]).all()
    pose, arms = pose[solved], kinematics.MOTOR_ARM_LENGTH * np.exp(1j * stewart[solved])
    tips_in_motor = np.stack([arms.real, arms.imag, np.zeros_like(arms.real)], axis=-1)
    rotation, shift = kinematics.MOTOR_FROM_BODY[..., :3], kinematics.MOTOR_FROM_BODY[..., 3]
    branch = np.einsum("nij,lj->nli", pose[:, :3, :3], kinematics.BRANCH_POINTS) + pose[:, None, :3, 3]
    branch[..., 2] += HEAD_Z_OFFSET
    rods = np.einsum("lij,nlj->nli", rotation, branch) + shift - tips_in_motor
    np.testing.assert_allclose(np.linalg.norm(rods, axis=-1), kinematics.ROD_LENGTH, rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        pose[:, :3, :3] @ np.swapaxes(pose[:, :3, :3], 1, 2), [np.eye(3)] * len(pose), atol=1e-12
    )
    assert (pose[:, 2, 2] > 0).all()
    assert (pose[:, 0, 0] > 0).all()


# Batches


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 257])
def test_a_result_does_not_depend_on_its_batch(size):
    poses, body_yaw = random_poses(514)
    stewart = np.where(np.isnan(inverse(poses, body_yaw)), 0.9, inverse(poses, body_yaw))
    for at in (0, 100, 514 - size):
        part = slice(at, at + size)
        np.testing.assert_array_equal(inverse(poses, body_yaw)[part], inverse(poses[part], body_yaw[part]))
        np.testing.assert_array_equal(reachable(poses, body_yaw)[part], reachable(poses[part], body_yaw[part]))
    whole = forward(stewart, body_yaw)
    np.testing.assert_array_equal(
        whole[100 : 100 + size], forward(stewart[100 : 100 + size], body_yaw[100 : 100 + size])
    )


def test_one_robot_and_a_thousand_take_the_same_path():
    poses, body_yaw = random_poses(1_000)
    guess = head_pose(z=-0.01, yaw=body_yaw)
    stewart = inverse(poses, body_yaw)
    whole = forward(stewart, body_yaw, guess)
    for row in range(0, 1_000, 20):
        np.testing.assert_array_equal(inverse(poses[row], body_yaw[row]), stewart[row])
        np.testing.assert_array_equal(forward(stewart[row], body_yaw[row], guess[row]), whole[row])


def test_memory_layout_does_not_matter():
    poses, body_yaw = random_poses(300)
    strided, transposed = np.repeat(poses, 2, axis=0)[::2], np.asfortranarray(poses)
    for other in (strided, transposed):
        np.testing.assert_array_equal(inverse(other, body_yaw), inverse(poses, body_yaw))


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (2, 1, 3), (0,), (4, 0)])
def test_any_leading_shape_goes_through(shape):
    pose, body_yaw = np.broadcast_to(head_pose(z=0.01), (*shape, 4, 4)), np.full(shape, 0.1)
    stewart = inverse(pose, body_yaw)
    assert stewart.shape == (*shape, 6)
    assert reachable(pose, body_yaw).shape == shape
    assert forward(stewart, body_yaw).shape == (*shape, 4, 4)
    np.testing.assert_allclose(forward(stewart, body_yaw, pose), pose, rtol=0, atol=1e-8)


def test_pose_and_body_yaw_broadcast():
    pose, body_yaw = head_pose(z=[[0.0], [0.01]]), np.array([-0.2, 0.0, 0.2])
    stewart = inverse(pose, body_yaw)
    assert stewart.shape == (2, 3, 6)
    np.testing.assert_array_equal(stewart[1, 2], inverse(pose[1, 0], 0.2))
    np.testing.assert_array_equal(forward(stewart, body_yaw)[1, 2], forward(stewart[1, 2], 0.2))


def test_arguments_are_left_as_they_were():
    poses, body_yaw = random_poses(10)
    stewart, before = np.full((10, 6), 0.9), poses.copy()
    inverse(poses, body_yaw)
    forward(stewart, body_yaw, poses)
    np.testing.assert_array_equal(poses, before)
    assert (stewart == 0.9).all()
