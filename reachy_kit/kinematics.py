"""Head kinematics: the six leg motor angles of a head pose, and back. Batched, numpy only.

Each leg is a motor arm that turns about the motor's z axis and a rod from the arm's tip to a *branch point* on the
platform under the head. Frames: *base* is the SDK's world frame (x forward, y left, z up); *body* is base turned by
the body yaw, and the motors are fixed in it; a head pose's translation is measured from the neutral head.
Try it: python -c "import numpy as np; from reachy_kit.kinematics import inverse; print(inverse(np.eye(4), 0.0))"

Inside, the batch is the *last* axis and every formula is elementwise over it. That is fast, and it makes an element's
result independent, bit for bit, of the batch it came in: einsum, BLAS and `sum` reorder additions with the shape.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Source: reachy_mini 1.12 assets/kinematics_data.json, digit for digit (a test compares them).
MOTOR_ARM_LENGTH = 0.04000000000000001
"""m, motor axis to arm tip."""
ROD_LENGTH = 0.08499999999999995
"""m, arm tip to branch point."""
HEAD_Z_OFFSET = 0.177
"""m, height of the neutral head above the base frame's origin."""
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
STEWART_LIMITS: Array = np.deg2rad([[-48.0, 80.0], [-80.0, 70.0], [-48.0, 80.0], [-80.0, 48.0], [-70.0, 80.0], [-80.0, 48.0]])
"""(6, 2) rad, lowest and highest angle of stewart_1..6."""
BODY_YAW_LIMIT = float(np.deg2rad(160.0))
"""rad, the body turns ± this."""

_MAX_ITERATIONS = 50  # 56,000 random reachable poses took 7 in the median, 24 at most
_TOLERANCE = 1e-10  # size of the last step, rad and platform radii; the error left is about its square
_PLATFORM_RADIUS = 0.03  # m, makes metres and radians comparable in a step (the branch points lie at 0.03)
_DAMPING = 0.1  # times the squared error: 0.02 to 0.3 converge alike; none at all loses 2 % of reachable poses
_LEAST_DAMPING = 1e-12  # keeps the equations solvable at an exact singularity
_FALLBACK_DROP = 0.03  # m, second starting point


def inverse(head_pose: npt.ArrayLike, body_yaw: npt.ArrayLike) -> Array:
    """Motor angles that hold the head in a pose.

    Args:
        head_pose: (..., 4, 4) base ← head, translation in m from the neutral head.
        body_yaw: (...,) rad. Broadcasts against the pose's leading axes.

    Returns:
        (..., 6) rad in (-π, π], stewart_1..6; NaN for a leg that cannot reach. Joint limits are not applied.

    Source: circle and sphere intersection, leg by leg; agrees with reachy_mini_rust_kinematics 1.0.3 to 1e-6 rad.
    """
    pose, yaw = np.asarray(head_pose, np.float64), np.asarray(body_yaw, np.float64)
    shape = np.broadcast_shapes(pose.shape[:-2], yaw.shape)
    branch = _branch_points(_in_body_frame(_batch_last(pose, shape, (4, 4)), _batch_last(yaw, shape, ())))
    motors = _leg_constants(MOTOR_FROM_BODY)
    x, y, z = motors[:, 0] * branch[0] + motors[:, 1] * branch[1] + motors[:, 2] * branch[2] + motors[:, 3]
    # The tip lies on the arm's circle, ROD_LENGTH from (x, y, z): its component along (x, y), times |(x, y)|, is `along`.
    flat = x * x + y * y
    along = (flat + z * z + (MOTOR_ARM_LENGTH**2 - ROD_LENGTH**2)) * (0.5 / MOTOR_ARM_LENGTH)
    with np.errstate(invalid="ignore"):
        across = SOLUTION_SIGNS[:, None] * np.sqrt(flat - along * along)
    angles = np.arctan2(y * along + x * across, x * along - y * across)
    return np.ascontiguousarray(angles.T).reshape(*shape, 6)


def reachable(head_pose: npt.ArrayLike, body_yaw: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether the six legs reach a pose inside their joint limits. The body yaw's own limit is not looked at.

    Args:
        head_pose: (..., 4, 4) base ← head, translation in m from the neutral head.
        body_yaw: (...,) rad.

    Returns:
        (...,) bool.
    """
    stewart = inverse(head_pose, body_yaw)
    inside = (stewart >= STEWART_LIMITS[:, 0]) & (stewart <= STEWART_LIMITS[:, 1])  # NaN is inside nothing
    return np.asarray(inside.all(axis=-1))


def forward(stewart: npt.ArrayLike, body_yaw: npt.ArrayLike, guess: npt.ArrayLike | None = None) -> Array:
    """Head pose that the motor angles hold.

    Six angles can fit several poses. Without a guess this is the one on the neutral pose's side of the platform's
    singularity; a head tilted beyond it (never seen below 11° of tilt) needs a guess near it, such as the last pose.

    Args:
        stewart: (..., 6) rad, stewart_1..6.
        body_yaw: (...,) rad.
        guess: (..., 4, 4) base ← head, where to start looking. Default: neutral, turned with the body. Where the
            search from there fails, it starts again from neutral and from a little lower.

    Returns:
        (..., 4, 4) base ← head, translation in m from the neutral head; NaN where no upright pose was found.

    Source: Levenberg–Marquardt with damping in proportion to the squared error (Fan and Yuan, Computing 74, 2005).
    """
    angles, yaw = np.asarray(stewart, np.float64), np.asarray(body_yaw, np.float64)
    start = np.eye(4) if guess is None else np.asarray(guess, np.float64)
    shape = np.broadcast_shapes(angles.shape[:-1], yaw.shape, start.shape[:-2])
    tips, yaw = _arm_tips(_batch_last(angles, shape, (6,))), _batch_last(yaw, shape, ())
    neutral = _batch_last(np.eye(4)[:3], shape, (3, 4))
    neutral[2, 3] = HEAD_Z_OFFSET
    lower = neutral.copy()
    lower[2, 3] -= _FALLBACK_DROP
    starts = [neutral, lower]
    if guess is not None:
        starts.insert(0, _orthonormal(_in_body_frame(_batch_last(start, shape, (4, 4)), yaw)))
    pose = np.full_like(neutral, np.nan)
    for first in starts:
        missing = np.flatnonzero(np.isnan(pose[0, 0]))
        pose[..., missing] = _assemble(tips[..., missing], first[..., missing])
    return _in_base_frame(pose, yaw).reshape(*shape, 4, 4)


def _batch_last(values: Array, shape: tuple[int, ...], core: tuple[int, ...]) -> Array:
    """(..., *core), broadcast to `shape` and flattened to N elements → (*core, N)."""
    flat = np.broadcast_to(values, (*shape, *core)).reshape(-1, *core)
    return np.array(np.moveaxis(flat, 0, -1), order="C")


def _leg_constants(values: Array) -> Array:
    """(6, *core) → (*core, 6, 1), to meet (6, N)."""
    return np.moveaxis(values, 0, -1)[..., None]


def _dot(a: Array, b: Array) -> Array:
    """Scalar product along the first axis, of three, always added in the same order."""
    result: Array = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return result


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


def _branch_arms(pose: Array) -> Array:
    """(3, 4, N) body ← head → (3, 6, N) vectors from the head's origin to the branch points, body frame."""
    points = _leg_constants(BRANCH_POINTS)
    return pose[:, 0, None] * points[0] + pose[:, 1, None] * points[1] + pose[:, 2, None] * points[2]


def _branch_points(pose: Array) -> Array:
    """(3, 4, N) body ← head → (3, 6, N) branch points, body frame."""
    return _branch_arms(pose) + pose[:, 3, None]


def _arm_tips(angles: Array) -> Array:
    """(6, N) rad → (3, 6, N) tips of the motor arms, body frame."""
    motors = _leg_constants(MOTOR_FROM_BODY)
    in_motor = [MOTOR_ARM_LENGTH * np.cos(angles), MOTOR_ARM_LENGTH * np.sin(angles), np.zeros_like(angles)]
    offset = np.stack([in_motor[0] - motors[0, 3], in_motor[1] - motors[1, 3], in_motor[2] - motors[2, 3]])
    return np.stack([_dot(motors[:, axis], offset) for axis in range(3)])  # the inverse rotation is the transpose


def _orthonormal(pose: Array) -> Array:
    """(3, 4, N) with the rotation made exact (Gram–Schmidt): printed poses are rounded."""
    x = pose[:, 0] / np.sqrt(_dot(pose[:, 0], pose[:, 0]))
    z = np.cross(x, pose[:, 1], axis=0)
    z /= np.sqrt(_dot(z, z))
    return np.stack([x, np.cross(z, x, axis=0), z, pose[:, 3]], axis=1)


def _assemble(tips: Array, pose: Array) -> Array:
    """Move the head until every rod fits between its arm's tip and its branch point.

    Args:
        tips: (3, 6, N) m, body frame.
        pose: (3, 4, N) body ← head, where to start.

    Returns:
        (3, 4, N) body ← head; NaN where it did not converge, or not upright.
    """
    found = np.full_like(pose, np.nan)
    moving = np.arange(pose.shape[-1])
    for _ in range(_MAX_ITERATIONS):
        step = _damped_step(*_rod_errors(tips, pose))
        pose = _moved(pose, step)
        size = np.abs(step).max(axis=0)
        done, on = size < _TOLERANCE, size >= _TOLERANCE  # neither, for NaN
        found[..., moving[done]] = pose[..., done]
        moving, pose, tips = moving[on], pose[..., on], tips[..., on]
        if not moving.size:
            break
    found[:, :, found[2, 2] <= 0] = np.nan
    return found


def _rod_errors(tips: Array, pose: Array) -> tuple[Array, Array]:
    """How much too long each rod is, (6 legs, N), and its derivative by translation and rotation, (6, 6 legs, N).

    Lengths in platform radii; exact to first order around a fit, where it matters.
    """
    arms = _branch_arms(pose)
    rods = arms + pose[:, 3, None] - tips
    errors = (_dot(rods, rods) - ROD_LENGTH**2) * (0.5 / ROD_LENGTH / _PLATFORM_RADIUS)
    slopes = np.concatenate([rods, np.cross(arms, rods, axis=0) / _PLATFORM_RADIUS]) / ROD_LENGTH
    return errors, slopes


def _damped_step(errors: Array, slopes: Array) -> Array:
    """(6, N) translation in platform radii and rotation vector that lessen the errors: (SᵀS + λ) step = −Sᵀ e."""
    size = errors.shape[-1]
    matrix, step, damping = np.zeros((6, 6, size)), np.zeros((6, size)), np.full(size, _LEAST_DAMPING)
    for error, slope in zip(errors, np.swapaxes(slopes, 0, 1), strict=True):
        matrix += slope[:, None] * slope
        step -= slope * error
        damping += _DAMPING * error * error
    matrix[range(6), range(6)] += damping
    for row in range(5):  # Gaussian elimination; positive definite, so no pivoting
        factor = matrix[row + 1 :, row] / matrix[row, row]
        matrix[row + 1 :, row + 1 :] -= factor[:, None] * matrix[row, row + 1 :]
        step[row + 1 :] -= factor * step[row]
    for row in range(5, -1, -1):
        step[row] /= matrix[row, row]
        step[:row] -= matrix[:row, row] * step[row]
    return step


def _moved(pose: Array, step: Array) -> Array:
    """(3, 4, N) pose after a step. The rotation is Cayley's, equal to the exponential up to third order, without trigonometry."""
    half = step[3:, None] / 2
    once = np.cross(half, pose[:, :3], axis=0)
    turn = 2 / (1 + _dot(half, half)) * (once + np.cross(half, once, axis=0))
    return np.concatenate([pose[:, :3] + turn, pose[:, 3:] + _PLATFORM_RADIUS * step[:3, None]], axis=1)
