"""Model of the robot for drawing, posed by its nine numbers: the same for a simulated, a daemon's and a real robot."""

import mujoco
import numpy as np

from reachy_kit.runtime.interface import NEUTRAL, Array
from reachy_sim.dynamics.closed_chain import ClosedChain
from reachy_sim.dynamics.model import HEAD_HEIGHT
from reachy_sim.rendering.robot_meshes import light_model

_OUT_OF_SIGHT = (0.0, 0.0, -10.0)
"""Place of a hidden ball, m: under the table."""


class RobotDrawing:
    """The robot's model with its meshes, and the ball; it is drawn and never simulated."""

    def __init__(self) -> None:
        self.model = light_model()
        self.data = mujoco.MjData(self.model)
        self._chain = ClosedChain(self.model)
        self._ball = self.model.body("target").mocapid[0]
        self.set_pose(NEUTRAL, None)

    def set_pose(self, state: Array, target: Array | None) -> None:
        """Set the pose of the robot and of the ball.

        Args:
            state: (9,) in the order of ``ACTION_NAMES``. A pose out of reach changes nothing.
            target: (3,) m, base frame; None to hide the ball.
        """
        positions = self._chain.positions(state)
        if np.isfinite(positions).all():
            self.data.qpos[:] = positions
        lift = (0.0, 0.0, HEAD_HEIGHT)
        self.data.mocap_pos[self._ball] = _OUT_OF_SIGHT if target is None else target + lift
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)  # lights and cameras may follow a centre of mass
        mujoco.mj_camlight(self.model, self.data)
