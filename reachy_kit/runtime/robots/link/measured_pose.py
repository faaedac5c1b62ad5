"""Where a robot is, as its daemon says, or as its motors' angles say where the daemon has lost the head.

The daemon computes the head's pose from the motors' angles, beginning at its pose before. From one near the edge of the
legs' reach, as the sleep pose is, that may end at the platform's mirror image, nearly 0.2 m below, and stay there
(AnalyticalKinematics of reachy_mini 1.13; seen with --mockup-sim, whose motors jump).
"""

from typing import Any

import numpy as np

from reachy_kit.runtime.geometry import turn_near, vector_from_pose
from reachy_kit.runtime.interface import YAW, Array
from reachy_kit.runtime.kinematics import forward

_MIRRORED = -0.12
"""Height below which no head is, m: the legs reach down to −0.05, their mirror images up to −0.15."""
_HEIGHT = 2


def measured_pose(sdk: Any) -> Array:
    """(9,) the latest measurement, in the order of ``ACTION_NAMES``.

    Args:
        sdk: the SDK's robot, connected.
    """
    joints, antennas = sdk.get_current_joint_positions()
    head = vector_from_pose(sdk.get_current_head_pose())
    if head[_HEIGHT] < _MIRRORED:
        upright = forward(np.array(joints[1:]), np.array(joints[0]))
        if np.isfinite(upright).all():  # otherwise the angles fit no pose: it is out of reach, and stays a number
            head = vector_from_pose(upright)
    head[YAW] = turn_near(head[YAW], np.asarray(joints[0]))  # a matrix knows no turns: body and head together pass 180°
    return np.concatenate([head, joints[:1], antennas])
