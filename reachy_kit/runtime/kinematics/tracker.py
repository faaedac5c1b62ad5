"""Forward kinematics that follows moving legs: from where the heads were a tick before to where they are now."""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.kinematics.forward import PLATFORM_RADIUS, assemble, eliminate, rod_errors
from reachy_kit.runtime.kinematics.linkage import BLOCK, HEAD_Z_OFFSET, MOTOR_ARM_LENGTH, ROD_LENGTH, Array, arm_tips
from reachy_kit.runtime.kinematics.quaternions import (
    NEUTRAL_POINTS,
    POINTS_FROM_TRANSLATION,
    QUATERNION_PRODUCT,
    multiply,
    multiply_each,
    quadratic_products,
    quaternion_and_translation_terms,
    quaternion_from_rotation,
    rotation_from_quaternion,
    translation_from_terms,
)

type Single = npt.NDArray[np.float32]
type Ids = npt.NDArray[np.int64]

_ROUNDS = 8
_STRAY = 0.3  # rad of rotation after which an inverse Jacobian is renewed: corrections then err by a third
_FINE = 2e-3  # rad and platform radii: a correction below it leaves an error of a third of it, mended at the next tick
_FLOOR = 1e-6  # keeps the six slopes solvable at a singularity
_LOST = 0.5  # rad and platform radii in a tick: no head moves so fast
_LIFT: Array = np.array([[0.0], [0.0], [HEAD_Z_OFFSET]])
# An array in double precision would drag every formula along.
_LEGS, _NEUTRAL = POINTS_FROM_TRANSLATION.astype(np.float32), NEUTRAL_POINTS.astype(np.float32)
_PRODUCT = QUATERNION_PRODUCT.astype(np.float32)


class HeadTracker:
    """Poses of N heads while their legs move.

    Each tick it predicts that the head moves as in the tick before, and corrects the prediction by a quasi-Newton step
    whose inverse Jacobian is renewed only once the head has turned away from where it was taken. In single precision,
    exact to a micrometre and a microradian at rest; quaternions are normalised at every step, so that nothing drifts.

    Args:
        count: N.
    """

    def __init__(self, count: int) -> None:
        self._quaternion: Single = np.zeros((4, count), dtype=np.float32)
        self._quaternion[0] = 1.0
        self._translation: Single = np.zeros((3, count), dtype=np.float32)
        self._step: Single = np.zeros((6, count), dtype=np.float32)
        self._inverse: Single = np.zeros((6, 6, count), dtype=np.float32)
        self._strayed: Single = np.full(count, np.inf, dtype=np.float32)
        self._yaw: Array = np.zeros(count)
        self._read()

    def reset(self, ids: Ids, vectors: Array) -> None:
        """Put the heads with these ids, at rest, into (K, 9) poses."""
        quaternion, translation_terms = quaternion_and_translation_terms(np.ascontiguousarray(vectors.T))
        self._quaternion[:, ids], self._translation[:, ids] = quaternion, translation_from_terms(translation_terms)
        self._step[:, ids], self._strayed[ids] = 0.0, np.inf
        self._yaw[ids] = vectors[:, 6]
        self._read()

    def follow(self, stewart: Array, body_yaw: Array) -> None:
        """Move the heads to where (N, 6) rad of the legs and (N,) rad of the bodies hold them a tick later.

        A head whose legs fit no pose nearby stays where it is on its body.
        """
        self._yaw = body_yaw.copy()
        legs = stewart.T.astype(np.float32, order="C")
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            stale = np.flatnonzero(self._strayed > _STRAY)
            if stale.size:
                self._inverse[..., stale] = _inverse_slopes(_tips(legs, stale), self._pose(stale))
                self._strayed[stale] = 0.0
            for first in range(0, len(stewart), BLOCK):
                self._follow(slice(first, first + BLOCK), legs[:, first : first + BLOCK])
        self._read()

    def _follow(self, block: slice, legs: Single) -> None:
        quaternion, translation, step = self._quaternion[:, block], self._translation[:, block], self._step[:, block]
        twice = np.float32(2 * MOTOR_ARM_LENGTH)
        arms = twice * np.cos(legs), twice * np.sin(legs)
        moved, total = _moved(quaternion, translation, step), step.copy()
        _correct(*moved, total, arms, self._inverse[..., block])
        size = np.abs(total)
        lost = np.flatnonzero(~(np.maximum.reduce(size, axis=0) < _LOST))
        if lost.size:
            assembled = assemble(_tips(legs, lost), self._pose(block.start + lost))
            missing = np.isnan(assembled[0, 0])
            moved[0][:, lost] = np.where(missing, quaternion[:, lost], quaternion_from_rotation(assembled[:, :3]))
            moved[1][:, lost] = np.where(missing, translation[:, lost], assembled[:, 3] - _LIFT)
            total[:, lost], size[3, lost] = 0.0, np.inf
        self._strayed[block] += size[3] + size[4] + size[5]
        quaternion[:], translation[:] = moved
        step[:] = total

    def _pose(self, ids: Ids) -> Array:
        """(3, 4, K) body ← head of the heads with these ids."""
        rotation = rotation_from_quaternion(self._quaternion[:, ids].astype(np.float64))
        return np.concatenate([rotation, (self._translation[:, ids] + _LIFT)[:, None]], axis=1)

    def _read(self) -> None:
        """Set the results: (N, 3, 3) base ← head, and (N, 3) m from neutral in the base frame."""
        cos, sin = np.cos(self._yaw), np.sin(self._yaw)
        rows = np.concatenate([rotation_from_quaternion(self._quaternion), self._translation[:, None]], axis=1)
        turned = np.empty((3, 4, len(cos)))
        turned[0] = cos * rows[0] - sin * rows[1]
        turned[1] = sin * rows[0] + cos * rows[1]
        turned[2] = rows[2]
        self.rotation: Array = turned[:, :3].transpose(2, 0, 1)
        self.position: Array = turned[:, 3].T


def _correct(
    quaternion: Single, translation: Single, total: Single, arms: tuple[Single, Single], inverse: Single
) -> None:
    """Move N guesses, in place, until their rods fit; those that never do get steps of NaN."""
    correction = multiply_each(inverse, _excess(quaternion, translation, *arms))
    quaternion[:], translation[:] = _moved(quaternion, translation, correction)
    total += correction
    moving = _unfinished(correction)
    for _ in range(_ROUNDS):
        if not moving.size:
            return
        guess = quaternion.take(moving, axis=1), translation.take(moving, axis=1)
        excess = _excess(*guess, *(arm.take(moving, axis=1) for arm in arms))
        correction = multiply_each(inverse.take(moving, axis=2), excess)
        quaternion[:, moving], translation[:, moving] = _moved(*guess, correction)
        total[:, moving] += correction
        moving = moving[_unfinished(correction)]
    total[:, moving] = np.nan


def _unfinished(correction: Single) -> Ids:
    return np.flatnonzero(~(np.maximum.reduce(np.abs(correction), axis=0) <= _FINE))


def _excess(quaternion: Single, translation: Single, arm_cos: Single, arm_sin: Single) -> Single:
    """Excess length of each rod, (6 legs, N) platform radii, to first order.

    Args:
        quaternion: (4, N).
        translation: (3, N) m from neutral.
        arm_cos: (6, N) m, twice the arm's length times the cosine of its angle.
        arm_sin: (6, N) m, twice the arm's length times the sine.
    """
    points = multiply(_LEGS, quadratic_products(quaternion, translation))
    points += _NEUTRAL
    x, y, z = points.reshape(3, 6, -1)
    # |point − tip|² − rod² with the tip at arm · (cos, sin, 0).
    excess: Single = (x - arm_cos) * x
    excess += (y - arm_sin) * y
    excess += z * z
    excess += np.float32(MOTOR_ARM_LENGTH**2 - ROD_LENGTH**2)
    excess *= np.float32(0.5 / ROD_LENGTH / PLATFORM_RADIUS)
    return excess


def _moved(quaternion: Single, translation: Single, step: Single) -> tuple[Single, Single]:
    """Poses after steps of (6, N): platform radii, and Cayley's rotation of a vector v, the quaternion (1, v/2)."""
    moved = multiply(_PRODUCT, ((np.float32(0.5) * step[3:, None]) * quaternion).reshape(12, -1))
    moved += quaternion
    moved /= np.sqrt(multiply_each(moved[None], moved))
    return moved, translation + np.float32(PLATFORM_RADIUS) * step[:3]


def _tips(legs: Single, ids: Ids) -> Array:
    """Tips of the arms, (3, 6, K) m, of the heads with these ids among (6, N) rad."""
    return arm_tips(legs.take(ids, axis=1).astype(np.float64))


def _inverse_slopes(tips: Array, pose: Array) -> Single:
    """Step that undoes each rod's excess, (6, 6 legs, K): −(SᵀS + λ)⁻¹ Sᵀ."""
    _, exact = rod_errors(tips, pose)
    slopes = exact.astype(np.float32)
    system = np.empty((6, 12, slopes.shape[-1]), dtype=np.float32)
    np.multiply(slopes[:, None, 0], slopes[:, 0], out=system[:, :6])
    for leg in range(1, 6):
        system[:, :6] += slopes[:, None, leg] * slopes[:, leg]
    system[range(6), range(6)] += np.float32(_FLOOR)
    np.negative(slopes, out=system[:, 6:])
    eliminate(system)
    return system[:, 6:]
