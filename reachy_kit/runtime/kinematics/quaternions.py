"""Poses as unit quaternions (w, x, y, z) and shifts from neutral, body ← head; what turns is linear in their products.

Source of the formulas: unit quaternions as rotations (Diebel, Representing Attitude, 2006).
"""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.kinematics.linkage import BRANCH_POINTS, HEAD_Z_OFFSET, MOTOR_FROM_BODY, Array

# fmt: off
TURN_OF_SQUARES: Array = 2.0 * np.array(
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
"""(9, 9) what `squares` of a turn add to the entries of the unit matrix, row by row."""
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
_BY_SHIFT: Array = _ROTATION.swapaxes(0, 1).reshape(18, 3)
LEGS_OF_SQUARES: Array = np.concatenate([_BY_ENTRY @ TURN_OF_SQUARES, _BY_SHIFT], axis=1)
"""(18, 12) by how much `squares` of a turn and a shift move the branch points, each in its motor's frame: x of the six
legs, then y, then z."""
NEUTRAL_LEGS: Array = _BY_ENTRY @ np.eye(3).reshape(9, 1) + HEAD_Z_OFFSET * _BY_SHIFT[:, 2:] + _OFFSET.T.reshape(18, 1)
"""(18, 1) m, where they are when the head is neutral."""
LEGS_OF_LEVERS: Array = np.concatenate(
    [
        LEGS_OF_SQUARES[:, :9],
        *(sign * _BY_SHIFT[:, [axis]] for sign, axis in ((1, 0), (1, 1), (-1, 1), (1, 0), (1, 2))),
    ],
    axis=1,
)
"""(18, 14) the same for the levers of `turn_and_levers` instead of a shift."""


def linear[Real: np.floating](table: npt.NDArray[Real], rows: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """(M, K) coefficients on (K, N): (M, N).

    einsum adds up each element's products in the same order whatever the batch; only a lone element's it would reorder.
    """
    if rows.shape[-1] == 1:
        rows = np.repeat(rows, 2, axis=-1)
        return np.asarray(np.einsum("mk,kn->mn", table, rows)[:, :1])
    return np.asarray(np.einsum("mk,kn->mn", table, rows))


def times[Real: np.floating](tables: npt.NDArray[Real], rows: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """`linear` with (M, K, N) coefficients of each element's own."""
    if rows.shape[-1] == 1:
        tables, rows = np.repeat(tables, 2, axis=-1), np.repeat(rows, 2, axis=-1)
        return np.asarray(np.einsum("mkn,kn->mn", tables, rows)[:, :1])
    return np.asarray(np.einsum("mkn,kn->mn", tables, rows))


def squares[Real: np.floating](turn: npt.NDArray[Real], others: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """(9 + K, N): the products wx wy wz xx xy xz yy yz zz of (4, N), and under them other rows (K, N)."""
    rows = np.empty((9 + len(others), turn.shape[-1]), dtype=turn.dtype)
    np.multiply(turn[1:], turn[0], out=rows[:3])
    np.multiply(turn[1:], turn[1], out=rows[3:6])
    np.multiply(turn[2:], turn[2], out=rows[6:8])
    np.multiply(turn[3], turn[3], out=rows[8])
    rows[9:] = others
    return rows


def turn_and_levers(vector: Array) -> tuple[Array, Array]:
    """(9, N) m and rad, in the order of ``ACTION_NAMES`` → (4, N) turns and (5, N) m, what the shifts are made of.

    The levers are cos·x, cos·y, sin·x, sin·y of the body yaw, and z.
    """
    angles = vector[3:7].copy()  # roll, pitch, yaw, body
    angles[2] -= angles[3]
    angles[:3] *= 0.5
    circle = np.empty((2, *angles.shape))
    np.cos(angles, out=circle[0])
    np.sin(angles, out=circle[1])
    # Yaw after pitch after roll: each component is the sum of two of the eight products.
    products = (circle[:, None, None, 2] * circle[:, None, 1] * circle[:, 0]).reshape(8, -1)
    turn = products[_FIRST]
    turn += _PARITY * products[_SECOND]
    translation_terms = np.empty((5, angles.shape[-1]))
    np.multiply(circle[:, None, 3], vector[:2], out=translation_terms[:4].reshape(2, 2, -1))
    translation_terms[4] = vector[2]
    return turn, translation_terms


_FIRST, _SECOND = np.array([0, 1, 2, 4]), np.array([7, 6, 5, 3])
_PARITY: Array = np.array([[1.0], [-1.0], [1.0], [-1.0]])


def shift_of_levers(translation_terms: Array) -> Array:
    """(5, N) → (3, N) m from neutral."""
    return np.stack(
        [translation_terms[0] + translation_terms[3], translation_terms[1] - translation_terms[2], translation_terms[4]]
    )


def rotation_of_turn[Real: np.floating](turn: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """(4, N) → (3, 3, N)."""
    rotation = linear(TURN_OF_SQUARES.astype(turn.dtype), squares(turn, turn[:0]))
    rotation[::4] += 1
    return rotation.reshape(3, 3, -1)


def turn_of_rotation(rotation: Array) -> Array:
    """(3, 3, N) upright and facing forward, so that w is never 0 → (4, N)."""
    w = np.sqrt(1 + rotation[0, 0] + rotation[1, 1] + rotation[2, 2]) / 2
    (_, xy, xz), (yx, _, yz), (zx, zy, _) = rotation
    return np.stack([w, (zy - yz) / (4 * w), (xz - zx) / (4 * w), (yx - xy) / (4 * w)])
