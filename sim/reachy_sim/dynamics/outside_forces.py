"""Forces from outside on the physics tier's robots: a hand on the head, and the weight that motors may compensate.

They stand in the integration state as MuJoCo's ``xfrc_applied``: a force and a torque at each body's centre of mass, in
the world's axes, which are those of the base frame.
"""

import mujoco
import numpy as np

from reachy_kit.runtime.interface import Array
from reachy_sim.dynamics.joints import Ids


class OutsideForces:
    """Writes outside forces into integration states.

    Args:
        model: of the robot.
        rows: (N, nstate) live integration states.
    """

    def __init__(self, model: mujoco.MjModel, rows: Array) -> None:
        kinds = mujoco.mjtState
        first = int(mujoco.mj_stateSize(model, int(kinds.mjSTATE_XFRC_APPLIED) - 1))  # the components before it
        self._forces = rows[:, first : first + 6 * model.nbody].reshape(len(rows), model.nbody, 6)
        assert np.shares_memory(self._forces, rows)
        site = model.site("head")
        self._head = int(model.site_bodyid[site.id])
        turn = np.empty(9)
        mujoco.mju_quat2Mat(turn, model.site_quat[site.id])
        self._to_mass: Array = turn.reshape(3, 3).T @ (model.body_ipos[self._head] - model.site_pos[site.id])
        self._weights: Array = -model.body_mass[:, None] * model.opt.gravity
        self._carried = np.zeros(len(rows), dtype=np.bool_)

    def carry_weight(self, ids: Ids, *, carried: bool) -> None:
        """Let something carry the weight of all bodies of robots ``ids``, or no longer."""
        self._carried[ids] = carried
        self._forces[ids, :, :3] = self._weights if carried else 0.0
        self._forces[ids, :, 3:] = 0.0

    def pull_head(self, ids: Ids, force: Array, torque: Array, rotation: Array) -> None:
        """Pull at the heads of robots from now on, until the next call.

        Args:
            ids: (K,) robots.
            force: (K, 3) N at the head's origin, base frame.
            torque: (K, 3) N·m, base frame.
            rotation: (K, 3, 3) base ← head, now.
        """
        weight = self._weights[self._head] * self._carried[ids, None]
        # The force acts at the head's origin, MuJoCo's at the centre of mass: the lever between them turns the head.
        lever = -np.einsum("kij,j->ki", rotation, self._to_mass)
        self._forces[ids, self._head, :3] = force + weight
        self._forces[ids, self._head, 3:] = torque + np.cross(lever, force)
