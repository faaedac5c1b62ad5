"""A robot that looks at a ball: from the side with its line of gaze, and below it what its head camera sees.

Try it: reachy-kit demo, whose film shows three of them side by side
"""

from contextlib import closing

import cv2
import numpy as np

from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import Array, Image
from reachy_kit.runtime.perception.camera import PinholeCamera
from reachy_sim.rendering.head_camera import HeadCameraRenderer
from reachy_sim.rendering.robot_renderer import RobotRenderer

_SIDE = 0.6
"""Height of the view from the side, in widths."""
_RING, _HIT, _RING_WIDTH = (255, 255, 255), (20, 90, 40), 2
"""Colour of the ring around the optical axis, that of the ring while the ball is in it, and its width, px."""


class GazeViews:
    """Renders both views from one viewpoint, about 0.05 s for an image on a CPU.

    Args:
        width: px, even.
        targets: (steps, 3) m, base frame, where the ball will be.
        tolerance: rad; a ring on the camera's image marks this angle around the optical axis.

    Raises:
        KitError: no off-screen renderer works here.
    """

    def __init__(self, width: int, targets: Array, tolerance: float) -> None:
        self._camera = PinholeCamera(width, round(width * 9 / 32) * 2)
        side = round(width * _SIDE / 2) * 2
        self.shape = (side + self._camera.height, width, 3)
        self._tolerance, self._radius = tolerance, round(self._camera.focal * np.tan(tolerance))
        self._robot = RobotRenderer(width, side, list(targets), gaze=True)
        try:
            self._head = HeadCameraRenderer(self._camera)
        except BaseException:
            self._robot.close()
            raise

    def render(self, state: Array, target: Array, error: float) -> Image:
        """Render one image of ``shape``, RGB uint8.

        Args:
            state: (9,) measured, in the order of ``ACTION_NAMES``.
            target: (3,) m, base frame.
            error: rad, between the optical axis and the line to the target.
        """
        seen = self._head.render(pose_from_vector(state), target)
        middle = (self._camera.width // 2, self._camera.height // 2)
        colour = _HIT if error <= self._tolerance else _RING
        cv2.circle(seen, middle, self._radius, colour, _RING_WIDTH, cv2.LINE_AA)
        return np.vstack([self._robot.render(state, target), seen])

    def close(self) -> None:
        """Free both contexts."""
        with closing(self._robot):
            self._head.close()
