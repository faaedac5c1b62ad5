"""The kinematic tier: identified motors in joint space, and the legs' exact geometry. Numpy only.

It has neither contacts nor gravity: a head that sags by a degree under physics stands still here. sim/RESULTS.md
says how closely it follows physics.
"""

import numpy as np

from reachy_kit.runtime.geometry import euler_from_rotation
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, HEAD, Array
from reachy_kit.runtime.kinematics import HeadTracker
from reachy_sim.dynamics.actuators import IDENTIFIED, Actuators, Motors
from reachy_sim.dynamics.joints import Ids, joint_targets, refuse_unreachable


class Kinematic:
    """N robots, stepped a control tick at a time.

    Args:
        num_envs: N.
    """

    def __init__(self, num_envs: int = 1) -> None:
        self.num_envs = num_envs
        self._motors = Motors(num_envs)
        self._platform = HeadTracker(num_envs)

    def reset(self, ids: Ids, poses: Array, actuators: Actuators) -> None:
        """Place robots exactly at poses, at rest.

        Args:
            ids: (K,) indices of the robots.
            poses: (K, 9).
            actuators: (K, 9), (K, 1) or scalars; an infinite bandwidth means the shipped motors'.

        Raises:
            WrongUseError: the legs cannot reach a pose.
        """
        joints = joint_targets(poses)
        refuse_unreachable(joints, poses, ids, self.num_envs)
        table, own = actuators.table(len(ids)), IDENTIFIED.table(len(ids))
        shipped = np.isinf(table["bandwidth"])
        for name in ("bandwidth", "damping"):
            table[name] = np.where(shipped, own[name], table[name])
        table["backlash"] = np.where(shipped, np.maximum(own["backlash"], table["backlash"]), table["backlash"])
        self._motors.reset(ids, Actuators(**table), joints)
        self._platform.reset(ids, poses)

    def step(self, targets: Array) -> None:
        """Advance a tick with (N, 9) rad on the motors, in the order of ``JOINTS``."""
        joints = self._motors.step(targets)
        self._platform.follow(joints[:, 1:7], joints[:, 0])

    @property
    def head_rotation(self) -> Array:
        """(N, 3, 3) base ← head."""
        return self._platform.rotation

    @property
    def head_position(self) -> Array:
        """(N, 3) m, base frame."""
        return self._platform.position

    @property
    def state(self) -> Array:
        """(N, 9) measured, in the order of ``ACTION_NAMES``."""
        state = np.empty((self.num_envs, 9))
        state[:, HEAD][:, :3] = self.head_position
        state[:, HEAD][:, 3:] = euler_from_rotation(self.head_rotation)
        state[:, BODY_YAW] = self._motors.position[:, 0]
        state[:, ANTENNAS] = -self._motors.position[:, 7:]
        return state
