"""Poses and gaze: 4×4 ↔ vector, where the camera points, and the bearing of a target in its image.

Frames: *base* is the SDK's world frame (x forward, y left, z up; the origin is the neutral head position); *head* turns
with the head; *camera* is OpenCV's (x right, y down, z forward).
"""

import numpy as np

from reachy_kit.runtime.interface import HEAD, Array

CAMERA_IN_HEAD: Array = np.array([0.0437, 0.0, 0.0512])
"""Camera in the head frame, m. Source: the head → camera translation of reachy_mini.vision.look_at (1.12)."""


def wrap_angle(angle: Array) -> Array:
    """The same angle in [−π, π)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def turn_near(angle: Array, reference: Array) -> Array:
    """The same angle within half a turn of a reference, both rad."""
    return angle + 2 * np.pi * np.round((reference - angle) / (2 * np.pi))


def rotation_from_euler(rpy: Array) -> Array:
    """Rotation matrix of extrinsic xyz Euler angles.

    Args:
        rpy: (..., 3) rad: roll, pitch, yaw.

    Returns:
        (..., 3, 3).
    """
    rotation = np.empty((*rpy.shape[:-1], 3, 3))
    _fill_rotation(rotation, rpy)
    return rotation


def _fill_rotation(rotation: Array, rpy: Array) -> None:
    """Fill (..., 3, 3) element by element: for one robot the cost is in the number of numpy calls."""
    cosines, sines = np.cos(rpy), np.sin(rpy)
    cr, cp, cy = cosines[..., 0], cosines[..., 1], cosines[..., 2]
    sr, sp, sy = sines[..., 0], sines[..., 1], sines[..., 2]
    cy_sp, sy_sp = cy * sp, sy * sp
    rotation[..., 0, 0], rotation[..., 0, 1], rotation[..., 0, 2] = cy * cp, cy_sp * sr - sy * cr, cy_sp * cr + sy * sr
    rotation[..., 1, 0], rotation[..., 1, 1], rotation[..., 1, 2] = sy * cp, sy_sp * sr + cy * cr, sy_sp * cr - cy * sr
    rotation[..., 2, 0], rotation[..., 2, 1], rotation[..., 2, 2] = -sp, cp * sr, cp * cr


def euler_from_rotation(rotation: Array) -> Array:
    """Extrinsic xyz Euler angles of a rotation matrix; pitch lies in [−π/2, π/2].

    Args:
        rotation: (..., 3, 3).

    Returns:
        (..., 3) rad: roll, pitch, yaw.
    """
    pitch = np.arcsin(np.clip(-rotation[..., 2, 0], -1.0, 1.0))
    roll = np.arctan2(rotation[..., 2, 1], rotation[..., 2, 2])
    yaw = np.arctan2(rotation[..., 1, 0], rotation[..., 0, 0])
    return np.stack([roll, pitch, yaw], axis=-1)


def pose_from_vector(vector: Array) -> Array:
    """(..., 6 or 9) → (..., 4, 4): the head's part of an action or a state as a pose, base ← head."""
    head = vector[..., HEAD]
    pose = np.zeros((*head.shape[:-1], 4, 4))
    _fill_rotation(pose, head[..., 3:])
    pose[..., :3, 3] = head[..., :3]
    pose[..., 3, 3] = 1.0
    return pose


def vector_from_pose(pose: Array) -> Array:
    """(..., 4, 4) → (..., 6): x, y, z in m; roll, pitch, yaw in rad."""
    return np.concatenate([pose[..., :3, 3], euler_from_rotation(pose[..., :3, :3])], axis=-1)


def target_in_camera(head_pose: Array, target: Array) -> Array:
    """A point in the camera frame.

    Args:
        head_pose: (..., 4, 4) base ← head.
        target: (..., 3) m, base frame.

    Returns:
        (..., 3) m, camera frame (x right, y down, z forward).
    """
    rotation = head_pose[..., :3, :3]
    in_head = np.sum(rotation * (target - head_pose[..., :3, 3])[..., :, None], axis=-2) - CAMERA_IN_HEAD
    return np.stack([-in_head[..., 1], -in_head[..., 2], in_head[..., 0]], axis=-1)


def bearing(in_camera: Array) -> Array:
    """Direction of a point in the camera frame.

    Args:
        in_camera: (..., 3) m, camera frame.

    Returns:
        (..., 2) rad: to the right of the optical axis, and below it (as image columns and rows grow).
    """
    x, y, z = in_camera[..., 0], in_camera[..., 1], in_camera[..., 2]
    return np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], axis=-1)


def gaze_error(head_pose: Array, target: Array) -> Array:
    """Angle between the camera's optical axis and the line to a target.

    Args:
        head_pose: (..., 4, 4) base ← head, translation in m.
        target: (..., 3) m, base frame.

    Returns:
        (...,) rad in [0, π].
    """
    point = target_in_camera(head_pose, target)
    return np.asarray(np.arctan2(np.hypot(point[..., 0], point[..., 1]), point[..., 2]))
