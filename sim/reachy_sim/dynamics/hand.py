"""A hand that guides the head of a simulated robot, as a person would.

It is a spring with a damper between the head and where the head should be, and a person's eye, which notices what
friction leaves over and corrects it. It is not stronger than a person's hand.
"""

import mujoco
import numpy as np

from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import Array

_STIFFNESS = 1500.0, 30.0
"""N/m and N·m/rad. Twice as stiff, the head swings at 50 forces per second."""
_DAMPING = 15.0, 0.5
"""N·s/m and N·m·s/rad."""
_CORRECTION = 3.0
"""Rate at which what is left over is corrected, 1/s: a person sees and acts in about half a second."""
_STRENGTH = 20.0, 3.0
"""Most that it pulls and turns, N and N·m."""


class Hand:
    """A hand on one robot's head."""

    def __init__(self) -> None:
        self.let_go()

    def let_go(self) -> None:
        """Take the hand away."""
        self._before: tuple[Array, Array] | None = None
        self._left_over = np.zeros(3), np.zeros(3)

    def wrench(self, position: Array, rotation: Array, goal: Array, seconds: float) -> tuple[Array, Array]:
        """Force and torque of the next physics step.

        Args:
            position: (3,) m of the head, base frame.
            rotation: (3, 3) base ← head.
            goal: (9,) pose to which the head is guided; body and antennas are not touched.
            seconds: since the last call, and until the next.

        Returns:
            (3,) N and (3,) N·m, base frame.
        """
        wanted = pose_from_vector(goal)
        off = wanted[:3, 3] - position, _turn(wanted[:3, :3] @ rotation.T)
        before = self._before or (position, rotation)
        speed = (position - before[0]) / seconds, _turn(rotation @ before[1].T) / seconds
        self._before = position.copy(), rotation.copy()
        pulls = []
        for error, rate, left, stiffness, damping, most in zip(
            off, speed, self._left_over, _STIFFNESS, _DAMPING, _STRENGTH, strict=True
        ):
            pull = stiffness * (error + left) - damping * rate
            strength = float(np.linalg.norm(pull))
            if strength <= most:
                np.add(left, error * _CORRECTION * seconds, out=left)
            pulls.append(pull * min(1.0, most / strength) if strength else pull)
        return pulls[0], pulls[1]


def _turn(rotation: Array) -> Array:
    """Rotation vector (3,) rad of a (3, 3) rotation."""
    quaternion, vector = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, rotation.ravel())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector
