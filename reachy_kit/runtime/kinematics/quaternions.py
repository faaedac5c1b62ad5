"""Poses as unit quaternions (w, x, y, z) and translations from neutral, body ← head: points are linear in products.

A rotated point is linear in the nine products of the quaternion's components, so that one table of coefficients gives
all six branch points.

Source of the formulas: unit quaternions as rotations (Diebel, Representing Attitude, 2006).
"""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.kinematics.linkage import BRANCH_POINTS, HEAD_Z_OFFSET, MOTOR_FROM_BODY, Array

# fmt: off
ROTATION_FROM_PRODUCTS: Array = 2.0 * np.array(
    [  # wx  wy  wz  xx  xy  xz  yy  yz  zz
        [0,  0,  0,  0,  0,  0, -1,  0, -1],
        [0,  0, -1,  0,  1,  0,  0,  0,  0],
        [0,  1,  0,  0,  0,  1,  0,  0,  0],
        [0,  0,  1,  0,  1,  0,  0,  0,  0],
        [0,  0,  0, -1,  0,  0,  0,  0, -1],
        [-1, 0,  0,  0,  0,  0,  0,  1,  0],
        [0, -1,  0,  0,  0,  1,  0,  0,  0],
        [1,  0,  0,  0,  0,  0,  0,  1,  0],
        [0,  0,  0, -1,  0,  0, -1,  0,  0],
    ]
)
"""(9, 9) rotation matrix minus the unit matrix, row by row, from a quaternion's `quadratic_products`."""
QUATERNION_PRODUCT: Array = np.array(
    [  # x·(w x y z)    y·(w x y z)    z·(w x y z)
        [0, -1, 0, 0,   0, 0, -1, 0,   0, 0, 0, -1],
        [1, 0, 0, 0,    0, 0, 0, 1,    0, 0, -1, 0],
        [0, 0, 0, -1,   1, 0, 0, 0,    0, 1, 0, 0],
        [0, 0, 1, 0,    0, -1, 0, 0,   1, 0, 0, 0],
    ],
    dtype=np.float64,
)
"""(4, 12) the product of (0, x, y, z) and (w, x, y, z)."""
# fmt: on

_ROTATION, _OFFSET = MOTOR_FROM_BODY[..., :3], MOTOR_FROM_BODY[..., 3]
_BY_ENTRY: Array = np.einsum("lci,lj->clij", _ROTATION, BRANCH_POINTS).reshape(18, 9)
_BY_TRANSLATION: Array = _ROTATION.swapaxes(0, 1).reshape(18, 3)
POINTS_FROM_TRANSLATION: Array = np.concatenate([_BY_ENTRY @ ROTATION_FROM_PRODUCTS, _BY_TRANSLATION], axis=1)
"""(18, 12) branch points minus `NEUTRAL_POINTS`, from a quaternion's `quadratic_products` and a translation: x of
the six legs in their motors' frames, then y, then z."""
NEUTRAL_POINTS: Array = (
    _BY_ENTRY @ np.eye(3).reshape(9, 1) + HEAD_Z_OFFSET * _BY_TRANSLATION[:, 2:] + _OFFSET.T.reshape(18, 1)
)
"""(18, 1) m, branch points of the neutral head, in the same order."""
POINTS_FROM_TERMS: Array = np.concatenate(
    [
        POINTS_FROM_TRANSLATION[:, :9],
        *(sign * _BY_TRANSLATION[:, [axis]] for sign, axis in ((1, 0), (1, 1), (-1, 1), (1, 0), (1, 2))),
    ],
    axis=1,
)
"""(18, 14) as `POINTS_FROM_TRANSLATION`, with the five terms of `quaternion_and_translation_terms` as translation."""


def multiply[Real: np.floating](table: npt.NDArray[Real], rows: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """Product of (M, K) coefficients and (K, N) rows; (M, N).

    einsum adds each element's products in the same order whatever the batch is; a batch of one is the exception, so it
    is doubled.
    """
    if rows.shape[-1] == 1:
        rows = np.repeat(rows, 2, axis=-1)
        return np.asarray(np.einsum("mk,kn->mn", table, rows)[:, :1])
    return np.asarray(np.einsum("mk,kn->mn", table, rows))


def multiply_each[Real: np.floating](tables: npt.NDArray[Real], rows: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """As `multiply`, with (M, K, N) coefficients, each element's own."""
    if rows.shape[-1] == 1:
        tables, rows = np.repeat(tables, 2, axis=-1), np.repeat(rows, 2, axis=-1)
        return np.asarray(np.einsum("mkn,kn->mn", tables, rows)[:, :1])
    return np.asarray(np.einsum("mkn,kn->mn", tables, rows))


def quadratic_products[Real: np.floating](
    quaternion: npt.NDArray[Real], others: npt.NDArray[Real]
) -> npt.NDArray[Real]:
    """Products wx wy wz xx xy xz yy yz zz of (4, N) quaternions, and below them (K, N) other rows; (9 + K, N)."""
    rows = np.empty((9 + len(others), quaternion.shape[-1]), dtype=quaternion.dtype)
    np.multiply(quaternion[1:], quaternion[0], out=rows[:3])
    np.multiply(quaternion[1:], quaternion[1], out=rows[3:6])
    np.multiply(quaternion[2:], quaternion[2], out=rows[6:8])
    np.multiply(quaternion[3], quaternion[3], out=rows[8])
    rows[9:] = others
    return rows


def quaternion_and_translation_terms(vector: Array) -> tuple[Array, Array]:
    """Quaternions of poses, and the terms that their translations are sums of.

    Args:
        vector: (9, N) m and rad, in the order of ``ACTION_NAMES``.

    Returns:
        (4, N) body ← head; (5, N) m: cos·x, cos·y, sin·x, sin·y with cos and sin of the body yaw, and z.
    """
    angles = vector[3:7].copy()  # roll, pitch, yaw, body
    angles[2] -= angles[3]
    angles[:3] *= 0.5
    circle = np.empty((2, *angles.shape))
    np.cos(angles, out=circle[0])
    np.sin(angles, out=circle[1])
    # Yaw after pitch after roll: each component is the sum of two of the eight products.
    products = (circle[:, None, None, 2] * circle[:, None, 1] * circle[:, 0]).reshape(8, -1)
    quaternion = products[_FIRST]
    quaternion += _PARITY * products[_SECOND]
    translation_terms = np.empty((5, angles.shape[-1]))
    np.multiply(circle[:, None, 3], vector[:2], out=translation_terms[:4].reshape(2, 2, -1))
    translation_terms[4] = vector[2]
    return quaternion, translation_terms


_FIRST, _SECOND = np.array([0, 1, 2, 4]), np.array([7, 6, 5, 3])
_PARITY: Array = np.array([[1.0], [-1.0], [1.0], [-1.0]])


def translation_from_terms(translation_terms: Array) -> Array:
    """(5, N) terms → (3, N) m from neutral, body frame."""
    return np.stack(
        [translation_terms[0] + translation_terms[3], translation_terms[1] - translation_terms[2], translation_terms[4]]
    )


def rotation_from_quaternion[Real: np.floating](quaternion: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """Rotation matrices, (3, 3, N), of (4, N) quaternions."""
    rotation = multiply(ROTATION_FROM_PRODUCTS.astype(quaternion.dtype), quadratic_products(quaternion, quaternion[:0]))
    rotation[::4] += 1
    return rotation.reshape(3, 3, -1)


def quaternion_from_rotation(rotation: Array) -> Array:
    """Quaternions, (4, N), of (3, 3, N) rotations that are upright and face forward, so that w is never 0."""
    w = np.sqrt(1 + rotation[0, 0] + rotation[1, 1] + rotation[2, 2]) / 2
    (_, xy, xz), (yx, _, yz), (zx, zy, _) = rotation
    return np.stack([w, (zy - yz) / (4 * w), (xz - zx) / (4 * w), (yx - xy) / (4 * w)])
