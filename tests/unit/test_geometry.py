"""Poses and gaze: conventions, round trips, and where a target stands in the camera."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachy_kit.runtime.geometry import (
    CAMERA_IN_HEAD,
    bearing,
    euler_from_rotation,
    gaze_error,
    pose_from_vector,
    rotation_from_euler,
    target_in_camera,
    vector_from_pose,
)

angles = st.floats(-3.1, 3.1)
below_a_quarter_turn = st.floats(-1.55, 1.55)
eulers = st.tuples(angles, below_a_quarter_turn, angles).map(np.array)
positions = st.tuples(*[st.floats(-0.05, 0.05)] * 3).map(np.array)
targets = st.tuples(st.floats(0.3, 2.0), st.floats(-1.5, 1.5), st.floats(-0.5, 0.8)).map(np.array)

NEUTRAL_POSE = np.eye(4)
AHEAD = CAMERA_IN_HEAD + np.array([1.0, 0.0, 0.0])


def about(axis, angle):
    """Rotation matrix about a unit axis, by Rodrigues' formula."""
    cross = np.cross(np.eye(3), axis)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def aimed_at(target, position):
    """(4, 4) head pose at a position, turned and nodded until the camera points at a target: plain trigonometry."""
    away = target - position
    distance = np.linalg.norm(away)
    forward = np.sqrt(distance**2 - CAMERA_IN_HEAD[2] ** 2)  # the camera sits above the head's origin, across the axis
    pitch = np.arctan2(CAMERA_IN_HEAD[2], forward) - np.arcsin(away[2] / distance)
    return pose_from_vector(np.array([*position, 0.0, pitch, np.arctan2(away[1], away[0])]))


@given(eulers)
def test_euler_angles_turn_about_the_fixed_axes_in_the_order_x_y_z(rpy):
    x, y, z = np.eye(3)
    np.testing.assert_allclose(
        rotation_from_euler(rpy), about(z, rpy[2]) @ about(y, rpy[1]) @ about(x, rpy[0]), atol=1e-12
    )


@given(eulers)
def test_euler_angles_survive_the_way_through_a_rotation(rpy):
    np.testing.assert_allclose(euler_from_rotation(rotation_from_euler(rpy)), rpy, atol=1e-9)


@given(positions, eulers)
def test_a_vector_survives_the_way_through_a_pose(position, rpy):
    vector = np.concatenate([position, rpy])
    pose = pose_from_vector(vector)
    np.testing.assert_allclose(vector_from_pose(pose), vector, atol=1e-9)
    np.testing.assert_array_equal(pose[3], [0, 0, 0, 1])


def test_body_and_antennas_do_not_move_the_head_pose():
    nine = np.array([0.01, -0.01, 0.02, 0.1, -0.2, 0.3, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(pose_from_vector(nine), pose_from_vector(nine[:6]))


@pytest.mark.parametrize(
    ("aside", "right_and_below"),
    [((0, 0.2, 0), (-1, 0)), ((0, -0.2, 0), (1, 0)), ((0, 0, 0.3), (0, -1)), ((0, 0, -0.3), (0, 1))],
    ids=["left of the robot", "right of the robot", "above the camera", "below the camera"],
)
def test_bearings_grow_to_the_right_and_downwards(aside, right_and_below):
    np.testing.assert_array_equal(np.sign(bearing(target_in_camera(NEUTRAL_POSE, AHEAD + aside))), right_and_below)


@given(angles, below_a_quarter_turn, st.floats(0.2, 3.0))
def test_bearings_are_the_angles_of_a_direction(right, below, distance):
    direction = np.array([np.cos(below) * np.sin(right), np.sin(below), np.cos(below) * np.cos(right)])
    np.testing.assert_allclose(bearing(distance * direction), [right, below], atol=1e-9)


@pytest.mark.parametrize(
    ("vector", "off_axis"),
    [
        ([0, 0, 0, 0, 0, 0.3], (0.3, 0.0)),  # head turned left: what was ahead is now to the right
        ([0, 0, 0, 0, 0.2, 0], (0.0, -0.2)),  # head nods down: what was ahead is now above
    ],
    ids=["yaw", "pitch"],
)
def test_positive_yaw_looks_left_and_positive_pitch_looks_down(vector, off_axis):
    far_ahead = np.array([1e6, 0.0, 0.0])
    direction = bearing(target_in_camera(pose_from_vector(np.array(vector, dtype=float)), far_ahead))
    np.testing.assert_allclose(direction, off_axis, atol=1e-6)


@given(targets, positions)
def test_a_head_that_is_aimed_at_a_target_has_no_gaze_error(target, position):
    pose = aimed_at(target, position)
    assert gaze_error(pose, target) == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(bearing(target_in_camera(pose, target)), 0.0, atol=1e-9)


@given(targets, positions, st.floats(-1.0, 1.0))
def test_tilting_the_head_sideways_about_its_gaze_keeps_the_gaze_error(target, position, roll):
    pose = aimed_at(np.array([1.5, 0.3, 0.1]), position)
    optical_axis = pose[:3, 0]
    camera = position + pose[:3, :3] @ CAMERA_IN_HEAD
    tilted = np.eye(4)
    tilted[:3, :3] = about(optical_axis, roll) @ pose[:3, :3]
    tilted[:3, 3] = camera - tilted[:3, :3] @ CAMERA_IN_HEAD
    assert gaze_error(tilted, target) == pytest.approx(float(gaze_error(pose, target)), abs=1e-9)


@given(angles, st.floats(-1.5, 1.5), st.floats(0.2, 3.0))
def test_gaze_error_is_the_angle_off_the_optical_axis(around, off, distance):
    off = abs(off)
    side = np.array([np.cos(off), np.sin(off) * np.cos(around), np.sin(off) * np.sin(around)])
    assert gaze_error(NEUTRAL_POSE, CAMERA_IN_HEAD + distance * side) == pytest.approx(off, abs=1e-9)


def test_a_target_behind_the_head_is_half_a_turn_off():
    assert gaze_error(NEUTRAL_POSE, CAMERA_IN_HEAD - np.array([1.0, 0.0, 0.0])) == pytest.approx(np.pi)


def test_one_robot_and_a_batch_take_the_same_path():
    rng = np.random.default_rng(0)
    vectors, points = rng.uniform(-1, 1, (3, 5, 6)), rng.uniform(-1, 1, (3, 5, 3))
    poses = pose_from_vector(vectors)
    errors = gaze_error(poses, points)
    assert poses.shape == (3, 5, 4, 4)
    assert errors.shape == (3, 5)
    np.testing.assert_array_equal(errors[2, 4], gaze_error(pose_from_vector(vectors[2, 4]), points[2, 4]))
    np.testing.assert_array_equal(
        bearing(target_in_camera(poses, points))[1, 3], bearing(target_in_camera(poses[1, 3], points[1, 3]))
    )
