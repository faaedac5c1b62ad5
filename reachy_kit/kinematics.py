"""Head kinematics: the six leg motor angles of a head pose, and back. Batched, numpy only.

Each leg is a motor arm that turns about the motor's z axis and a rod from the arm's tip to a *branch point* on the
platform under the head. Frames: *base* is the SDK's world frame (x forward, y left, z up); *body* is base turned by
the body yaw, and the motors are fixed in it; a head pose's translation is measured from the neutral head.
Try it: python -c "import numpy as np; from reachy_kit.kinematics import inverse; print(inverse(np.eye(4), 0.0))"

Inside, the batch is the *last* axis and every formula is elementwise over it. That is fast, and it makes an element's
result independent, bit for bit, of the batch it came in: einsum, BLAS and `sum` reorder additions with the shape.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Source: reachy_mini 1.12 assets/kinematics_data.json, digit for digit (a test compares them).
MOTOR_ARM_LENGTH = 0.04000000000000001  # m, motor axis to arm tip
ROD_LENGTH = 0.08499999999999995  # m, arm tip to branch point
HEAD_Z_OFFSET = 0.177  # m, height of the neutral head above the base frame's origin
MOTOR_FROM_BODY: Array = np.array(
    [
        [0.8660247915798898, -0.5000010603626028, -2.298079077119539e-06, -0.009999848080267933],
        [4.490195936008854e-06, 3.1810770986818273e-06, 0.999999999984859, -0.07663346037245178],
        [-0.500001060347722, -0.8660247915770963, 4.999994360718464e-06, 0.03666015757925319],
        [-0.8660211183436269, 0.5000074225224785, 2.298069723064582e-06, -0.01000055227585102],
        [-4.490219645842903e-06, -3.181063409649239e-06, -0.999999999984859, 0.07663346037219607],
        [-0.5000074225075973, -0.8660211183408337, 5.00001124330122e-06, 0.03666008712637943],
        [6.326794896519466e-06, 0.9999999999799852, -7.0550646912150425e-12, -0.009999884140839245],
        [-1.0196153102346142e-06, 1.3505961633338446e-11, 0.9999999999994795, -0.07663346037438698],
        [0.9999999999794655, -6.326794896940104e-06, 1.0196153098685706e-06, 0.036660683387545835],
        [-3.673205069955933e-06, -0.9999999999932537, -6.767968877969483e-14, -0.010000000000897517],
        [1.0196153102837198e-06, -3.6775764393585005e-12, -0.9999999999994795, 0.0766334603742898],
        [0.9999999999927336, -3.673205070385213e-06, 1.0196153102903487e-06, 0.03666065685180194],
        [-0.8660284647694133, -0.4999946981757419, 2.298079429767357e-06, -0.010000231529504576],
        [4.490172883391843e-06, -3.1811099293773187e-06, 0.9999999999848591, -0.07663346037246624],
        [-0.4999946981608617, 0.8660284647666201, 4.999994384073154e-06, 0.03666016059492482],
        [0.8660247915798897, 0.5000010603626025, -2.298069644866714e-06, -0.009999527331574583],
        [-4.490196220318687e-06, 3.1810964558725514e-06, -0.9999999999848591, 0.07663346037272492],
        [-0.500001060347722, 0.8660247915770967, 5.000011266610794e-06, 0.036660231042625266],
    ]
).reshape(6, 3, 4)
"""(6, 3, 4) motor ← body, the upper rows of `T_motor_world` of stewart_1..6."""
BRANCH_POINTS: Array = np.array(
    [
        [0.020648178337122566, 0.021763723638894568, 1.0345743467476964e-07],
        [0.00852381571767217, 0.028763668526131346, 1.183437210727778e-07],
        [-0.029172011376922807, 0.0069999429399361995, 4.0290270064691214e-08],
        [-0.029172040355214434, -0.0069999960097160766, -3.1608172912367394e-08],
        [0.008523809101930114, -0.028763713010385224, -1.4344916837716326e-07],
        [0.020648186722822436, -0.02176369606185343, -8.957920105689965e-08],
    ]
)
"""(6, 3) m, rod ends in the head frame."""
SOLUTION_SIGNS: Array = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
"""(6,) which way the arm lies from the line motor axis → branch point: +1 counter-clockwise about the motor's z."""

# Source: joint ranges of reachy_mini's mjcf/reachy_mini.xml, which are whole degrees.
STEWART_LIMITS: Array = np.deg2rad([[-48, 80], [-80, 70], [-48, 80], [-80, 48], [-70, 80], [-80, 48]])
"""(6, 2) rad, lowest and highest angle of stewart_1..6."""
_HALF_LIMITS: Array = np.tan(STEWART_LIMITS.T / 2)
BODY_YAW_LIMIT = float(np.deg2rad(160.0))  # rad, the body turns ± this

_MOTORS: Array = np.moveaxis(MOTOR_FROM_BODY, 0, -1)[..., None]  # (3, 4, 6, 1): components first, to meet (6, N)
# A rotation's inverse is its transpose: the rows of `_MOTORS` are the motors' axes in the body frame.
_ARM_COS, _ARM_SIN = MOTOR_ARM_LENGTH * _MOTORS[0, :3], MOTOR_ARM_LENGTH * _MOTORS[1, :3]
_ARM_AXIS: Array = -(_MOTORS[:, :3] * _MOTORS[:, 3, None]).sum(axis=0)
_MOTOR_ROWS: Array = np.swapaxes(_MOTORS, 0, 1)
_SIGNS: Array = SOLUTION_SIGNS[:, None]
_POINTS: Array = np.moveaxis(BRANCH_POINTS, 0, -1)[..., None]  # (3, 6, 1)
_BLOCK = 512  # elements at once: what lies between then stays in the processor's cache
_FLOOR = 1e-12
_FOLLOW_ROUNDS = 8
_STRAY = 0.2  # rad of turning after which an inverse Jacobian is renewed: corrections then err by a fifth
_FINE = 2e-3  # rad and platform radii: a correction below it leaves an error of a fifth of it, mended at the next tick
_LOST = 0.5  # rad and platform radii in a tick: no head moves so fast
_MAX_ITERATIONS = 50  # 42,000 random reachable poses took 7 in the median, 24 at most
_TOLERANCE = 1e-10  # of the last step, rad and platform radii; the error it leaves is about its square
_PLATFORM_RADIUS = 0.03  # m to the branch points: makes metres and radians comparable in a step
_DAMPING = 0.3  # times the largest squared error: 0.01 to 1 lose none of 42,000 reachable poses, 0 loses 237


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
    pose = _in_body_frame(_batch_last(pose, shape, (4, 4)), _batch_last(yaw, shape, ()))
    return angles_of_halves(_half_tangents(pose)).reshape(*shape, 6)


def inverse_of_vector(vector: Array) -> Array:
    """``inverse`` of nine numbers, without the matrices between: the simulator asks at every tick.

    Args:
        vector: (..., 9) m and rad, in the order of ``ACTION_NAMES``.

    Returns:
        (..., 6) rad, stewart_1..6; NaN for a leg that cannot reach.
    """
    return angles_of_halves(half_tangents(vector)).reshape(*vector.shape[:-1], 6)


@np.errstate(invalid="ignore", divide="ignore")
def half_tangents(vector: Array) -> Array:
    """Tangents of half the motor angles: they grow with the angles and spare the arctangents where only limits matter.

    Args:
        vector: (..., 9) m and rad, in the order of ``ACTION_NAMES``.

    Returns:
        (6, N) of the N elements in their order; NaN for a leg that cannot reach.
    """
    flat = vector.reshape(-1, vector.shape[-1])
    if len(flat) > _BLOCK:
        blocks = [flat[first : first + _BLOCK] for first in range(0, len(flat), _BLOCK)]
        return np.concatenate([half_tangents(block) for block in blocks], axis=-1)
    return _half_tangents(_pose_of_vector(np.ascontiguousarray(flat.T)))


def angles_of_halves(halves: Array) -> Array:
    """(6, ...) tangents of half the motor angles → (..., 6) rad in [-π, π]."""
    return np.ascontiguousarray(np.moveaxis(2 * np.arctan(halves), 0, -1))


def halves_inside_limits(halves: Array) -> npt.NDArray[np.bool_]:
    """(...,) whether all of (6, ...) keep their joint limits; NaN keeps none."""
    low, high = (edge.reshape(6, *(1,) * (halves.ndim - 1)) for edge in _HALF_LIMITS)
    return np.asarray(np.logical_and.reduce((halves >= low) & (halves <= high), axis=0))


def reachable(head_pose: npt.ArrayLike, body_yaw: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether the six legs reach a pose inside their joint limits.

    The caller limits the body yaw, and the head's relative to it (the daemon: 65°): legs also fit a head set backwards.

    Args:
        head_pose: (..., 4, 4) base ← head, translation in m from the neutral head.
        body_yaw: (...,) rad.

    Returns:
        (...,) bool.
    """
    pose, yaw = np.asarray(head_pose, np.float64), np.asarray(body_yaw, np.float64)
    shape = np.broadcast_shapes(pose.shape[:-2], yaw.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        halves = _half_tangents(_in_body_frame(_batch_last(pose, shape, (4, 4)), _batch_last(yaw, shape, ())))
    return halves_inside_limits(halves).reshape(shape)


@np.errstate(invalid="ignore", divide="ignore", over="ignore")
def forward(stewart: npt.ArrayLike, body_yaw: npt.ArrayLike, guess: npt.ArrayLike | None = None) -> Array:
    """Head pose that the motor angles hold.

    Six angles can fit several poses. Without a guess this is the one on the neutral pose's side of the platform's
    singularity. Of random reachable poses none of 460,000 within 2 cm and 20° of roll and pitch lay beyond it, but a
    tenth of those within 6 cm and 50°. Such a pose needs a guess near it, the last pose for instance.

    Args:
        stewart: (..., 6) rad, stewart_1..6.
        body_yaw: (...,) rad.
        guess: (..., 4, 4) base ← head, where to start looking. Default, and second try where the guess fails:
            neutral, turned with the body.

    Returns:
        (..., 4, 4) base ← head, translation in m from the neutral head; NaN if none upright, facing forward, is found.

    Source: Levenberg-Marquardt with damping in proportion to the squared error (Fan and Yuan, Computing 74, 2005).
    """
    angles, yaw = np.asarray(stewart, np.float64), np.asarray(body_yaw, np.float64)
    shape = np.broadcast_shapes(angles.shape[:-1], yaw.shape, () if guess is None else np.asarray(guess).shape[:-2])
    tips, yaw = _arm_tips(_batch_last(angles, shape, (6,))), _batch_last(yaw, shape, ())
    pose = np.full((3, 4, yaw.size), np.nan)
    for start, turn in ((guess, yaw), (np.eye(4), np.zeros_like(yaw))):
        if start is not None:
            missing = np.flatnonzero(np.isnan(pose[0, 0]))
            first = _in_body_frame(_batch_last(np.asarray(start, np.float64), shape, (4, 4)), turn)
            pose[..., missing] = _assemble(tips[..., missing], _orthonormal(first[..., missing]))
    return _in_base_frame(pose, yaw).reshape(*shape, 4, 4)


class Platform:
    """Where N heads are while their legs move: forward kinematics that starts from the tick before.

    Each tick it guesses that the head moves on as it did, and corrects the guess by a quasi-Newton step whose inverse
    Jacobian is renewed only once the head has turned away from where it was taken.

    Args:
        count: N.
    """

    def __init__(self, count: int) -> None:
        self._pose = np.zeros((3, 4, count))
        self._step = np.zeros((6, count))
        self._inverse = np.zeros((6, 6, count), dtype=np.float32)
        self._strayed = np.full(count, np.inf)
        self._yaw: Array = np.zeros(count)
        self._read()

    def reset(self, ids: npt.NDArray[np.int64], vectors: Array) -> None:
        """Put some heads, at rest, into (K, 9) poses."""
        self._pose[..., ids] = _pose_of_vector(np.ascontiguousarray(vectors.T))
        self._step[:, ids] = 0.0
        self._strayed[ids] = np.inf
        self._yaw[ids] = vectors[:, 6]
        self._read()

    def follow(self, stewart: Array, body_yaw: Array) -> None:
        """Move the heads to where (N, 6) rad of the legs and (N,) rad of the bodies hold them a tick later.

        A head whose legs fit no pose nearby stays where it is on its body.
        """
        self._yaw = body_yaw.copy()
        for first in range(0, len(stewart), _BLOCK):
            self._follow(slice(first, first + _BLOCK), stewart)
        self._read()

    @np.errstate(invalid="ignore", divide="ignore", over="ignore")
    def _follow(self, block: slice, stewart: Array) -> None:
        pose, step, inverse = self._pose[..., block], self._step[:, block], self._inverse[..., block]
        tips = _arm_tips(np.ascontiguousarray(stewart[block].T))
        stale = np.flatnonzero(self._strayed[block] > _STRAY)
        if stale.size:
            inverse[..., stale] = _inverse_slopes(tips[..., stale], pose[..., stale])
            self._strayed[block][stale] = 0.0
        found, total = _moved(pose, step), step.copy()
        self._correct(found, total, tips, inverse)
        lost = np.flatnonzero(~(np.abs(total).max(axis=0) < _LOST))
        if lost.size:
            anew = _assemble(tips[..., lost], pose[..., lost])
            found[..., lost] = np.where(np.isnan(anew[0, 0]), pose[..., lost], anew)
            total[:, lost], self._strayed[block][lost] = 0.0, np.inf
        turned = np.abs(total)
        self._strayed[block] += turned[3] + turned[4] + turned[5]
        self._pose[..., block], self._step[:, block] = found, total

    @staticmethod
    def _correct(found: Array, total: Array, tips: Array, inverse: npt.NDArray[np.float32]) -> None:
        """Move (3, 4, N) guesses, in place, until their rods fit; those that never do get steps of NaN."""
        correction = _times(inverse, _rod_excess(tips, found))
        found[...] = _moved(found, correction)
        total += correction
        moving = np.flatnonzero(~(np.abs(correction).max(axis=0) <= _FINE))
        for _ in range(_FOLLOW_ROUNDS):
            if not moving.size:
                return
            correction = _times(inverse[..., moving], _rod_excess(tips[..., moving], found[..., moving]))
            found[..., moving] = _moved(found[..., moving], correction)
            total[:, moving] += correction
            moving = moving[~(np.abs(correction).max(axis=0) <= _FINE)]
        total[:, moving] = np.nan

    def _read(self) -> None:
        """(N, 3, 3) base ← head, and (N, 3) m from neutral in the base frame."""
        turned = np.moveaxis(_turned(self._pose, self._yaw), -1, 0)
        self.rotation: Array = np.ascontiguousarray(turned[..., :3])
        self.position: Array = turned[..., 3].copy()
        self.position[:, 2] -= HEAD_Z_OFFSET


def _rod_excess(tips: Array, pose: Array) -> Array:
    """(6 legs, N) how much too long each rod is, in platform radii; to first order in it."""
    rods = _branch_arms(pose)
    rods += pose[:, 3, None]
    rods -= tips
    excess = _dot(rods, rods)
    excess -= ROD_LENGTH**2
    excess *= 0.5 / ROD_LENGTH / _PLATFORM_RADIUS
    return excess


def _times(inverse: npt.NDArray[np.float32], excess: Array) -> Array:
    """(6, 6, N) inverse Jacobians on (6, N) excesses: the (6, N) steps that undo them, right to a millionth."""
    rounded = excess.astype(np.float32)
    step = inverse[:, 0] * rounded[0]
    for leg in range(1, 6):
        step += inverse[:, leg] * rounded[leg]
    result: Array = step.astype(np.float64)
    return result


def _inverse_slopes(tips: Array, pose: Array) -> npt.NDArray[np.float32]:
    """(6, 6 legs, N) by how much `_moved`'s step undoes each rod's excess: −(SᵀS + λ)⁻¹ Sᵀ."""
    _, slopes = _rod_errors(tips, pose)
    system = np.concatenate([np.zeros_like(slopes), -slopes], axis=1)
    for leg in range(6):
        system[:, :6] += slopes[:, None, leg] * slopes[None, :, leg]
    system[range(6), range(6)] += _FLOOR
    _eliminate(system)
    return system[:, 6:].astype(np.float32)


def _pose_of_vector(vector: Array) -> Array:
    """(9, N) m and rad → (3, 4, N) body ← head."""
    x, y, z, roll, pitch, yaw, body = vector[:7]
    angles = np.stack([roll, pitch, yaw - body, body])
    (cr, cp, cy, cb), (sr, sp, sy, sb) = np.cos(angles), np.sin(angles)
    cy_sp, sy_sp = cy * sp, sy * sp
    pose = np.empty((3, 4, x.size))
    pose[0, 0], pose[0, 1], pose[0, 2] = cy * cp, cy_sp * sr - sy * cr, cy_sp * cr + sy * sr
    pose[1, 0], pose[1, 1], pose[1, 2] = sy * cp, sy_sp * sr + cy * cr, sy_sp * cr - cy * sr
    pose[2, 0], pose[2, 1], pose[2, 2] = -sp, cp * sr, cp * cr
    pose[0, 3], pose[1, 3], pose[2, 3] = cb * x + sb * y, cb * y - sb * x, z + HEAD_Z_OFFSET
    return pose


def _batch_last(values: Array, shape: tuple[int, ...], core: tuple[int, ...]) -> Array:
    """(..., *core), broadcast to `shape` and flattened to N elements → (*core, N)."""
    flat = np.broadcast_to(values, (*shape, *core)).reshape(-1, *core)
    return np.array(np.moveaxis(flat, 0, -1), order="C")


def _dot(a: Array, b: Array) -> Array:
    """Sum of products along the first axis, of three, always added in the same order."""
    result: Array = a[0] * b[0]
    result += a[1] * b[1]
    result += a[2] * b[2]
    return result


def _cross(a: Array, b: Array) -> Array:
    """Vector product along the first axis; np.cross takes four times as long."""
    product = np.empty(np.broadcast_shapes(a.shape, b.shape), dtype=np.result_type(a, b))
    for axis, (one, other) in enumerate(((1, 2), (2, 0), (0, 1))):
        np.multiply(a[one], b[other], out=product[axis])
        product[axis] -= a[other] * b[one]
    return product


def _turned(pose: Array, yaw: Array) -> Array:
    """(3, ..., N) turned about z by yaw (N,)."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.stack([cos * pose[0] - sin * pose[1], sin * pose[0] + cos * pose[1], pose[2]])


def _in_body_frame(head_pose: Array, yaw: Array) -> Array:
    """(4, 4, N) base ← head, from neutral → (3, 4, N) body ← head."""
    pose = _turned(head_pose[:3], -yaw)
    pose[2, 3] += HEAD_Z_OFFSET
    return pose


def _in_base_frame(pose: Array, yaw: Array) -> Array:
    """(3, 4, N) body ← head → (N, 4, 4) base ← head, from neutral; an element of NaN stays all NaN."""
    result = np.full((yaw.size, 4, 4), [0.0, 0.0, 0.0, 1.0])
    result[:, :3] = np.moveaxis(_turned(pose, yaw), -1, 0)
    result[:, 2, 3] -= HEAD_Z_OFFSET
    result[np.isnan(result).any(axis=(1, 2))] = np.nan
    return result


def _half_tangents(pose: Array) -> Array:
    """(3, 4, N) body ← head → (6, N) tangents of half the motor angles, NaN where a leg cannot reach.

    In the motor's frame the tip is on the arm's circle, ROD_LENGTH from (x, y, z); `along` and `across` are the arm's
    components along (x, y) and square to it, times |(x, y)| / arm length, so that both are as long as (x, y) together.
    """
    branch = _branch_arms(pose)
    branch += pose[:, 3, None]
    x, y, z = _dot(_MOTOR_ROWS, branch[:, None]) + _MOTORS[:, 3]
    flat = x * x
    flat += y * y
    along = z * z
    along += flat
    along += MOTOR_ARM_LENGTH**2 - ROD_LENGTH**2
    along *= 0.5 / MOTOR_ARM_LENGTH
    across = _SIGNS * np.sqrt(flat - along * along)
    # tan(θ/2) = sin θ / (1 + cos θ).
    return np.asarray((y * along + x * across) / (flat + x * along - y * across))


def _branch_arms(pose: Array) -> Array:
    """(3, 4, N) body ← head → (3, 6, N) m, from the head's origin to the branch points, body frame."""
    return _dot(np.swapaxes(pose, 0, 1)[:3, :, None], _POINTS[:, None])


def _arm_tips(angles: Array) -> Array:
    """(6, N) rad → (3, 6, N) m, tips of the motor arms, body frame."""
    tips: Array = _ARM_COS * np.cos(angles)
    tips += _ARM_SIN * np.sin(angles)
    tips += _ARM_AXIS
    return tips


def _orthonormal(pose: Array) -> Array:
    """(3, 4, N) with the rotation made exact (Gram-Schmidt): printed poses are rounded."""
    x = pose[:, 0] / np.sqrt(_dot(pose[:, 0], pose[:, 0]))
    z = _cross(x, pose[:, 1])
    z /= np.sqrt(_dot(z, z))
    return np.stack([x, _cross(z, x), z, pose[:, 3]], axis=1)


def _assemble(tips: Array, pose: Array) -> Array:
    """(3, 6, N) m and a first (3, 4, N) pose → the pose where every rod fits from tip to branch point, or NaN."""
    found = np.full_like(pose, np.nan)
    moving = np.arange(pose.shape[-1])
    for _ in range(_MAX_ITERATIONS):
        errors, slopes = _rod_errors(tips, pose)
        step = _damped_step(errors, slopes)
        pose = _moved(pose, step)
        on = np.abs(step).max(axis=0) >= _TOLERANCE  # not for NaN, nor where the rods fit as well as they ever will
        fits = ~on & (np.abs(errors).max(axis=0) < 10 * _TOLERANCE)
        found[..., moving[fits]] = pose[..., fits]
        moving, pose, tips = moving[on], pose[..., on], tips[..., on]
        if not moving.size:
            break
    found[:, :, (found[2, 2] <= 0) | (found[0, 0] <= 0)] = np.nan  # upside down or backwards
    return found


def _rod_errors(tips: Array, pose: Array) -> tuple[Array, Array]:
    """How much too long each rod is, (6 legs, N), and the derivatives by `_moved`'s step, (6, 6 legs, N)."""
    arms = _branch_arms(pose)
    rods = arms + pose[:, 3, None] - tips
    errors = (_dot(rods, rods) - ROD_LENGTH**2) * (0.5 / ROD_LENGTH / _PLATFORM_RADIUS)
    slopes = np.empty((6, *errors.shape))
    slopes[:3] = rods
    slopes[3:] = _cross(arms / _PLATFORM_RADIUS, rods)
    slopes /= ROD_LENGTH
    return errors, slopes


def _damped_step(errors: Array, slopes: Array) -> Array:
    """(6, N) translation in platform radii and rotation vector that lessen the errors: (SᵀS + λ) step = -Sᵀ e."""
    right = np.concatenate([slopes, -errors[None]])
    system = np.zeros((6, 7, errors.shape[-1]))
    for leg in range(6):
        system += slopes[:, None, leg] * right[:, leg]
    system[range(6), range(6)] += _DAMPING * (errors * errors).max(axis=0) + _FLOOR  # solvable even at a singularity
    _eliminate(system)
    return system[:, 6]


def _eliminate(system: Array) -> None:
    """Solve (6, 6 + K, N) in place, for K right-hand sides: Gauss-Jordan. Positive definite, so no pivoting."""
    for row in range(6):
        reduced = system[row, row + 1 :] / system[row, row]
        system[:, row + 1 :] -= system[:, row, None] * reduced
        system[row, row + 1 :] = reduced


def _moved(pose: Array, step: Array) -> Array:
    """(3, 4, N) pose after a step. Cayley's rotation, the exponential's to second order without its trigonometry."""
    x, y, z = half = step[3:] / 2
    xx, yy, zz = half * half
    xy, yz, zx = x * y, y * z, z * x
    turn = np.empty((3, 3, step.shape[-1]))
    turn[0, 0], turn[0, 1], turn[0, 2] = 1 + xx - yy - zz, 2 * (xy - z), 2 * (zx + y)
    turn[1, 0], turn[1, 1], turn[1, 2] = 2 * (xy + z), 1 - xx + yy - zz, 2 * (yz - x)
    turn[2, 0], turn[2, 1], turn[2, 2] = 2 * (zx - y), 2 * (yz + x), 1 - xx - yy + zz
    turn /= 1 + xx + yy + zz
    moved = np.empty_like(pose)
    moved[:, :3] = _dot(np.swapaxes(turn, 0, 1)[:, :, None], pose[:, None, :3])
    moved[:, 3] = pose[:, 3] + _PLATFORM_RADIUS * step[:3]
    return moved
