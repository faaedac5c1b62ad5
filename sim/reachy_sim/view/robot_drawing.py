"""The robot's figure from its nine numbers: the same for a simulated robot, the daemon's and a real one."""

from collections.abc import Iterable

import mujoco
import numpy as np

from reachy_kit.runtime.interface import NEUTRAL, Array, Image
from reachy_sim.dynamics.closed_chain import ClosedChain
from reachy_sim.dynamics.model import HEAD_HEIGHT
from reachy_sim.rendering.offscreen import offscreen_renderer
from reachy_sim.view.meshes import light_model

_OUT_OF_SIGHT = (0.0, 0.0, -10.0)
_SKY = 0
"""Texture of the sky in the daemon's scene; painted over to make a wall."""


class RobotDrawing:
    """The model with its meshes, standing as told."""

    def __init__(self) -> None:
        self.model = light_model()
        self.data = mujoco.MjData(self.model)
        self._linkage = ClosedChain(self.model)
        self._ball = self.model.body("target").mocapid[0]
        self.stand(NEUTRAL, None)

    def stand(self, state: Array, target: Array | None) -> None:
        """Take a pose.

        Args:
            state: (9,) in the order of ``ACTION_NAMES``. One that the legs cannot reach changes nothing.
            target: (3,) m, base frame; None to hide the ball.
        """
        positions = self._linkage.positions(state)
        if np.isfinite(positions).all():
            self.data.qpos[:] = positions
        lift = (0.0, 0.0, HEAD_HEIGHT)
        self.data.mocap_pos[self._ball] = _OUT_OF_SIGHT if target is None else target + lift
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)  # lights and cameras may follow a centre of mass
        mujoco.mj_camlight(self.model, self.data)


class RobotRenderer:
    """Draws the figure off-screen, a tenth of a second a picture on a CPU. Use and close it in one thread.

    Args:
        width: pixels.
        height: pixels.
        targets: (3,) m, base frame: where the ball will be, to choose the view by.

    Raises:
        KitError: no off-screen renderer works here.
    """

    def __init__(self, width: int, height: int, targets: Iterable[Array] = ()) -> None:
        self._figure = RobotDrawing()
        model = self._figure.model
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        model.vis.rgba.haze = (0.93, 0.93, 0.93, 1.0)
        model.geom("floor").matid = -1
        model.geom("floor").rgba = (0.72, 0.62, 0.50, 1.0)
        pixels = model.tex_height[_SKY] * model.tex_width[_SKY] * model.tex_nchannel[_SKY]
        model.tex_data[model.tex_adr[_SKY] : model.tex_adr[_SKY] + pixels] = 238
        self._view = _view(list(targets))
        self._renderer = offscreen_renderer(model, height, width)
        # They cost four times as much as the rest: each is one more pass over all triangles.
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False

    def draw(self, state: Array, target: Array | None) -> Image:
        """(height, width, 3) RGB of a (9,) state and a (3,) target in m, base frame."""
        self._figure.stand(state, target)
        self._renderer.update_scene(self._figure.data, self._view)
        return np.asarray(self._renderer.render())

    def close(self) -> None:
        """Free the context."""
        self._renderer.close()


def _view(targets: list[Array]) -> mujoco.MjvCamera:
    """From the side and a little behind the ball, so that robot and ball are in it; without one, the robot's front."""
    target = np.mean(targets, axis=0) if targets else np.array([0.25, 0.0, 0.0])
    left, reach = float(np.arctan2(target[1], target[0])), float(np.linalg.norm(target[:2]))
    view = mujoco.MjvCamera()
    view.lookat[:] = (0.5 * target[0], 0.5 * target[1], 0.8 * HEAD_HEIGHT + 0.3 * target[2])
    view.distance = 0.45 + 0.75 * reach
    view.azimuth, view.elevation = np.rad2deg(left) + 125.0, -12.0
    return view
