"""One robot in MuJoCo, with the daemon's own physics settings: 2 ms × 10 steps a tick, 50 Hz, its actuators.

Frames and order are those of reachy_kit.interface. Source of the conventions (antenna signs, head height, joints):
reachy_mini.daemon.backend.mujoco (1.12).
"""

from collections import deque
from functools import cache

import mujoco
import numpy as np

from reachy_kit.errors import WrongUseError
from reachy_kit.geometry import pose_from_vector, vector_from_pose
from reachy_kit.interface import ANTENNAS, BODY_YAW, CONTROL_HZ, NEUTRAL, Array
from reachy_kit.kinematics import inverse
from reachy_sim.model import HEAD_HEIGHT, SUBSTEPS, TIMESTEP, robot_model

JOINTS = ("yaw_body", *(f"stewart_{leg}" for leg in range(1, 7)), "right_antenna", "left_antenna")
_SETTLE_TICKS = 100
"""2 s. The body settles in 60 ms, but the head creeps: a start pose of ``look_at`` is missed by at most 0.7° after it,
by 2.9° after half a second (measured on 30)."""


def joint_targets(action: Array) -> Array:
    """What the daemon puts on its nine actuators for an action.

    Args:
        action: (..., 9) in the order of ``ACTION_NAMES``.

    Returns:
        (..., 9) rad in the order of ``JOINTS``; NaN where the legs cannot reach.
    """
    body_yaw = action[..., BODY_YAW]
    legs = inverse(pose_from_vector(action), body_yaw)
    return np.concatenate([body_yaw[..., None], legs, -action[..., ANTENNAS]], axis=-1)


class Physics:
    """A robot on a table, stepped a control tick at a time.

    Args:
        delay: s between a command and its arrival at the motors, rounded to the 2 ms step.
        drawing: keep the meshes that only draw.
    """

    def __init__(self, delay: float, *, drawing: bool = False) -> None:
        self.model, self._settled = _settled_model(drawing)
        self.data = mujoco.MjData(self.model)
        self._joints = np.array([self.model.joint(name).qposadr[0] for name in JOINTS])
        self._head = self.model.site("head").id
        self._late_ticks, self._late_steps = divmod(round(delay / TIMESTEP), SUBSTEPS)
        self._commands: deque[Array] = deque(maxlen=self._late_ticks + 2)
        self.reset(NEUTRAL)

    def reset(self, pose: Array) -> None:
        """Stand still at a (9,) pose.

        Raises:
            WrongUseError: the legs cannot reach it.
        """
        target = joint_targets(pose)
        if not np.isfinite(target).all():
            raise WrongUseError(f"the legs cannot reach the start pose {np.round(pose, 3).tolist()}")
        mujoco.mj_setState(self.model, self.data, self._settled, mujoco.mjtState.mjSTATE_INTEGRATION)
        neutral = joint_targets(NEUTRAL)
        for tick in range(1, _SETTLE_TICKS + 1):
            # There in the first half, at rest in the second.
            share = min(1.0, 2 * tick / _SETTLE_TICKS)
            self.data.ctrl[:] = neutral + share * (target - neutral)
            mujoco.mj_step(self.model, self.data, SUBSTEPS)
        self.data.time = 0.0
        self._commands.clear()
        self._commands.extend([target] * (self._late_ticks + 2))

    def step(self, action: Array) -> None:
        """Advance one tick of 20 ms with a (9,) command; one that cannot be reached leaves the motors as they are."""
        target = joint_targets(action)
        self._commands.append(target if np.isfinite(target).all() else self._commands[-1])
        for command, steps in ((0, self._late_steps), (1, SUBSTEPS - self._late_steps)):
            if steps:
                self.data.ctrl[:] = self._commands[command]
                mujoco.mj_step(self.model, self.data, steps)

    @property
    def time(self) -> float:
        """Simulated s since the reset."""
        return float(self.data.time)

    @property
    def head_pose(self) -> Array:
        """(4, 4) base ← head."""
        pose = np.eye(4)
        pose[:3, :3] = self.data.site_xmat[self._head].reshape(3, 3)
        pose[:3, 3] = self.data.site_xpos[self._head] - (0.0, 0.0, HEAD_HEIGHT)
        return pose

    @property
    def state(self) -> Array:
        """(9,) measured, in the order of ``ACTION_NAMES``."""
        joints = self.data.qpos[self._joints]
        return np.concatenate([vector_from_pose(self.head_pose), joints[:1], -joints[-2:]])


@cache
def _settled_model(drawing: bool) -> tuple[mujoco.MjModel, Array]:
    """The model and the state in which it rests at neutral; settling the closed legs once saves it at every reset."""
    model = robot_model(drawing=drawing)
    data = mujoco.MjData(model)
    target = joint_targets(NEUTRAL)
    for tick in range(1, CONTROL_HZ + 1):
        data.ctrl[:] = target * min(1.0, 2 * tick / CONTROL_HZ)
        mujoco.mj_step(model, data, SUBSTEPS)
    state = np.empty(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION))
    mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
    return model, state
