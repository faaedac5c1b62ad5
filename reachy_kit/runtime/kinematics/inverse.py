"""From a head pose to the six motor angles, leg by leg: circle and sphere intersection."""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.kinematics.linkage import (
    BLOCK,
    HALF_TANGENT_LIMITS,
    MOTOR_ARM_LENGTH,
    MOTORS,
    ROD_LENGTH,
    SOLUTION_SIGNS,
    Array,
    batch_last,
    branch_arms,
    dot,
    in_body_frame,
)
from reachy_kit.runtime.kinematics.quaternions import (
    NEUTRAL_POINTS,
    POINTS_FROM_TERMS,
    multiply,
    quadratic_products,
    quaternion_and_translation_terms,
)

_MOTOR_ROWS: Array = np.swapaxes(MOTORS, 0, 1)
_SIGNS: Array = SOLUTION_SIGNS[:, None]


@np.errstate(invalid="ignore", divide="ignore")
def inverse(head_pose: npt.ArrayLike, body_yaw: npt.ArrayLike) -> Array:
    """Motor angles that hold the head in a pose.

    Args:
        head_pose: (..., 4, 4) base ← head, translation in m from the neutral head.
        body_yaw: (...,) rad. Broadcasts against the pose's leading axes.

    Returns:
        (..., 6) rad in (-π, π], stewart_1..6; NaN for a leg that cannot reach. Joint limits are not applied.

    Source: circle and sphere intersection, leg by leg; agrees with reachy_mini_rust_kinematics 1.0.3 to 1e-11 rad.
    """
    pose, yaw = np.asarray(head_pose, np.float64), np.asarray(body_yaw, np.float64)
    shape = np.broadcast_shapes(pose.shape[:-2], yaw.shape)
    pose = in_body_frame(batch_last(pose, shape, (4, 4)), batch_last(yaw, shape, ()))
    return angles_from_half_tangents(_leg_half_tangents(_points_of_pose(pose))).reshape(*shape, 6)


def inverse_of_vector(vector: Array) -> Array:
    """``inverse`` of nine numbers, without matrices: the simulator needs it at every tick.

    Args:
        vector: (..., 9) m and rad, in the order of ``ACTION_NAMES``.

    Returns:
        (..., 6) rad, stewart_1..6; NaN for a leg that cannot reach.
    """
    return angles_from_half_tangents(half_tangents(vector)).reshape(*vector.shape[:-1], 6)


@np.errstate(invalid="ignore", divide="ignore")
def half_tangents(vector: Array) -> Array:
    """Tangents of half the motor angles: they grow with the angles and spare the arctangents where only limits matter.

    Args:
        vector: (..., 9) m and rad, in the order of ``ACTION_NAMES``.

    Returns:
        (6, N) for the batch's N elements in their order; NaN for a leg that cannot reach.
    """
    flat = vector.reshape(-1, vector.shape[-1])
    tangents = np.empty((6, len(flat)))
    for first in range(0, len(flat), BLOCK):
        quaternion, terms = quaternion_and_translation_terms(np.ascontiguousarray(flat[first : first + BLOCK].T))
        points = multiply(POINTS_FROM_TERMS, quadratic_products(quaternion, terms))
        points += NEUTRAL_POINTS
        tangents[:, first : first + BLOCK] = _leg_half_tangents(points.reshape(3, 6, -1))
    return tangents


def angles_from_half_tangents(tangents: Array) -> Array:
    """(6, N) tangents of half the motor angles → (N, 6) rad in [-π, π]."""
    angles = np.empty((tangents.shape[1], 6))
    np.multiply(np.arctan(tangents).T, 2.0, out=angles)
    return angles


def half_tangents_inside_limits(tangents: Array) -> npt.NDArray[np.bool_]:
    """Whether all legs keep their joint limits: (6, N) tangents of half the angles → (N,); NaN keeps none."""
    low, high = HALF_TANGENT_LIMITS
    inside = tangents >= low
    inside &= tangents <= high
    return np.asarray(np.logical_and.reduce(inside, axis=0))


def reachable(head_pose: npt.ArrayLike, body_yaw: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether the six legs reach a pose inside their joint limits.

    The caller limits the body yaw, and the head's yaw relative to it (the daemon: 65°): legs also fit a head that faces
    backwards.

    Args:
        head_pose: (..., 4, 4) base ← head, translation in m from the neutral head.
        body_yaw: (...,) rad.

    Returns:
        (...,) bool.
    """
    pose, yaw = np.asarray(head_pose, np.float64), np.asarray(body_yaw, np.float64)
    shape = np.broadcast_shapes(pose.shape[:-2], yaw.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        tangents = _leg_half_tangents(
            _points_of_pose(in_body_frame(batch_last(pose, shape, (4, 4)), batch_last(yaw, shape, ())))
        )
    return half_tangents_inside_limits(tangents).reshape(shape)


def _points_of_pose(pose: Array) -> Array:
    """(3, 4, N) body ← head → (3, 6, N) m, branch points, each in its motor's frame."""
    branch = branch_arms(pose)
    branch += pose[:, 3, None]
    return dot(_MOTOR_ROWS, branch[:, None]) + MOTORS[:, 3]


def _leg_half_tangents(points: Array) -> Array:
    """(3, 6, N) m, `_points_of_pose` → (6, N) tangents of half the motor angles, NaN where a leg cannot reach.

    The tip is on the arm's circle, ROD_LENGTH from (x, y, z); `along` and `across` are the arm's components along
    (x, y) and square to it, times |(x, y)| / arm length, so that both are as long as (x, y) together.
    """
    x, y, z = points
    flat = x * x
    flat += y * y
    along = z * z
    along += flat
    along += MOTOR_ARM_LENGTH**2 - ROD_LENGTH**2
    along *= 0.5 / MOTOR_ARM_LENGTH
    across = _SIGNS * np.sqrt(flat - along * along)
    # tan(θ/2) = sin θ / (1 + cos θ).
    return np.asarray((y * along + x * across) / (flat + x * along - y * across))
