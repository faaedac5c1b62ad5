"""The nine actuated joints: their order, their targets for an action, and the start poses within their reach.

The six legs' angles are the kit's inverse kinematics. Source of the order and of the antennas' signs:
reachy_mini.daemon.backend.mujoco (1.12).
"""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, Array
from reachy_kit.runtime.kinematics import inverse_of_vector
from reachy_kit.runtime.safety import Motion

type Ids = npt.NDArray[np.int64]
"""(K,) indices of robots in a batch."""

JOINTS = ("yaw_body", *(f"stewart_{leg}" for leg in range(1, 7)), "right_antenna", "left_antenna")
"""The nine actuators, in the order of the model."""


def joint_targets(action: Array) -> Array:
    """Targets that the daemon puts on its nine actuators for an action.

    Args:
        action: (..., 9) in the order of ``ACTION_NAMES``.

    Returns:
        (..., 9) rad in the order of ``JOINTS``; NaN where the legs cannot reach.
    """
    legs = inverse_of_vector(action)
    return np.concatenate([action[..., BODY_YAW, None], legs, -action[..., ANTENNAS]], axis=-1)


def refuse_unreachable(joints: Array, poses: Array, ids: Ids, num_envs: int) -> None:
    """Refuse start poses that the legs cannot reach.

    Args:
        joints: (K, …) rad, computed for the poses; NaN where the legs cannot reach.
        poses: (K, 9).
        ids: (K,) the robots that shall start there.
        num_envs: robots in the batch.

    Raises:
        WrongUseError: a pose is out of reach; the message names the first.
    """
    unreachable = np.flatnonzero(~np.isfinite(joints).all(axis=-1))
    if unreachable.size:
        where = "" if num_envs == 1 else f" of environment {ids[unreachable[0]]}"
        pose = np.round(poses[unreachable[0]], 3).tolist()
        raise WrongUseError(f"the legs cannot reach the start pose{where}: {pose}")


def commanded_joints(motion: Motion) -> Array:
    """Targets of the actuators for the limiter's command, (..., 9) rad; the limiter has mostly computed the legs."""
    if motion.legs is None:
        return joint_targets(motion.position)
    position = motion.position
    return np.concatenate([position[..., BODY_YAW, None], motion.legs, -position[..., ANTENNAS]], axis=-1)
