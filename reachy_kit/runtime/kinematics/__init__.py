"""Head kinematics: the six leg motor angles of a head pose, and back. Batched, numpy only.

Each leg is a motor arm that turns about the motor's z axis and a rod from the arm's tip to a *branch point* on the
platform under the head. Frames: *base* is the SDK's world frame (x forward, y left, z up); *body* is base turned by
the body yaw, and the motors are fixed in it; a head pose's translation is measured from the neutral head.
Try it: python -c "import numpy; from reachy_kit.runtime.kinematics import inverse; print(inverse(numpy.eye(4), 0.0))"

Inside, the batch is the *last* axis and every formula is elementwise over it. That is fast, and it makes an element's
result independent, bit for bit, of the batch it came in: BLAS and `sum` reorder additions with the shape.
"""

from reachy_kit.runtime.kinematics.forward import forward
from reachy_kit.runtime.kinematics.inverse import (
    angles_from_half_tangents,
    half_tangents,
    half_tangents_inside_limits,
    inverse,
    inverse_of_vector,
    reachable,
)
from reachy_kit.runtime.kinematics.linkage import (
    BODY_YAW_LIMIT,
    BRANCH_POINTS,
    HEAD_Z_OFFSET,
    MOTOR_ARM_LENGTH,
    MOTOR_FROM_BODY,
    ROD_LENGTH,
    SOLUTION_SIGNS,
    STEWART_LIMITS,
)
from reachy_kit.runtime.kinematics.tracker import HeadTracker

__all__ = [
    "BODY_YAW_LIMIT",
    "BRANCH_POINTS",
    "HEAD_Z_OFFSET",
    "MOTOR_ARM_LENGTH",
    "MOTOR_FROM_BODY",
    "ROD_LENGTH",
    "SOLUTION_SIGNS",
    "STEWART_LIMITS",
    "HeadTracker",
    "angles_from_half_tangents",
    "forward",
    "half_tangents",
    "half_tangents_inside_limits",
    "inverse",
    "inverse_of_vector",
    "reachable",
]
