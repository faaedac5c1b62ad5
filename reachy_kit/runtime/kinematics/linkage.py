"""The head's linkage in numbers: arms, rods, branch points, limits. The batch is the last axis."""

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
HALF_TANGENT_LIMITS: Array = np.tan(STEWART_LIMITS.T / 2)[..., None]  # (2, 6, 1) tangents of half the angles
BODY_YAW_LIMIT = float(np.deg2rad(160.0))  # rad, the body turns ± this

MOTORS: Array = np.moveaxis(MOTOR_FROM_BODY, 0, -1)[..., None]  # (3, 4, 6, 1): components first, to meet (6, N)
# A rotation's inverse is its transpose: the rows of `MOTORS` are the motors' axes in the body frame.
_ARM_COS, _ARM_SIN = MOTOR_ARM_LENGTH * MOTORS[0, :3], MOTOR_ARM_LENGTH * MOTORS[1, :3]
_ARM_AXIS: Array = -(MOTORS[:, :3] * MOTORS[:, 3, None]).sum(axis=0)
_POINTS: Array = np.moveaxis(BRANCH_POINTS, 0, -1)[..., None]  # (3, 6, 1)
BLOCK = 1024  # elements at once: what lies between then stays in the processor's cache


def branch_arms(pose: Array) -> Array:
    """(3, 4, N) body ← head → (3, 6, N) m, from the head's origin to the branch points, body frame."""
    return dot(np.swapaxes(pose, 0, 1)[:3, :, None], _POINTS[:, None])


def arm_tips(angles: Array) -> Array:
    """(6, N) rad → (3, 6, N) m, tips of the motor arms, body frame."""
    tips: Array = _ARM_COS * np.cos(angles)
    tips += _ARM_SIN * np.sin(angles)
    tips += _ARM_AXIS
    return tips


def batch_last(values: Array, shape: tuple[int, ...], core: tuple[int, ...]) -> Array:
    """(..., *core), broadcast to `shape` and flattened to N elements → (*core, N)."""
    flat = np.broadcast_to(values, (*shape, *core)).reshape(-1, *core)
    return np.array(np.moveaxis(flat, 0, -1), order="C")


def dot(a: Array, b: Array) -> Array:
    """Sum of products along the first axis, of three, always added in the same order."""
    result: Array = a[0] * b[0]
    result += a[1] * b[1]
    result += a[2] * b[2]
    return result


def cross(a: Array, b: Array) -> Array:
    """Vector product along the first axis; np.cross takes four times as long."""
    product = np.empty(np.broadcast_shapes(a.shape, b.shape), dtype=np.result_type(a, b))
    for axis, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        np.multiply(a[i], b[j], out=product[axis])
        product[axis] -= a[j] * b[i]
    return product


def turned(pose: Array, yaw: Array) -> Array:
    """(3, ..., N) turned about z by yaw (N,)."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.stack([cos * pose[0] - sin * pose[1], sin * pose[0] + cos * pose[1], pose[2]])


def in_body_frame(head_pose: Array, yaw: Array) -> Array:
    """(4, 4, N) base ← head, from neutral → (3, 4, N) body ← head."""
    pose = turned(head_pose[:3], -yaw)
    pose[2, 3] += HEAD_Z_OFFSET
    return pose
