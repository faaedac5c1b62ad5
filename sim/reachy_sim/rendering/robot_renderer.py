"""Images of the robot and its ball from outside: for reports, films, the viewer and ``render_mode="robot"``.

Try it: reachy-kit view --task track --policy expert --out track.mp4
"""

from collections.abc import Sequence
from contextlib import closing

import mujoco
import numpy as np

from reachy_kit.runtime.geometry import CAMERA_IN_HEAD, pose_from_vector
from reachy_kit.runtime.interface import Array, Image
from reachy_sim.dynamics.model import HEAD_HEIGHT
from reachy_sim.gl_backend import can_draw
from reachy_sim.rendering.offscreen import ROBOT_IMAGES, Canvas
from reachy_sim.rendering.plain_drawing import PlainDrawing
from reachy_sim.rendering.robot_drawing import RobotDrawing

_SKY = 0
"""Texture of the sky in the daemon's scene; painted over to make a wall."""
_WALL_GREY, _HAZE, _TABLE = 238, (0.93, 0.93, 0.93, 1.0), (0.72, 0.62, 0.50, 1.0)
_TABLE_HALF = 6.0
"""Half the side of the floor, m. MuJoCo draws the daemon's infinite floor in pieces that cast shadows on each other."""
_SHADOWS, _HORIZON = 2.0, 10.0
"""Half the side of the square with shadows, and the far plane, in extents of the scene of about 1 m.
MuJoCo's 1 leaves out the ball's shadow, and its 50 leaves the shadows too little depth resolution."""
_GAZE_RGBA, _GAZE_RADIUS = (0.9, 0.3, 0.1, 0.7), 0.0025
"""Colour and radius of the line of gaze, m."""
_ASPECT = 1.6
"""Aspect ratio of the images for which the view's distance was chosen; narrower images use a larger distance."""
_NO_TARGET = np.array([0.25, 0.0, 0.0])
"""Point in front of a robot without a ball, m."""


class RobotRenderer:
    """Renders the robot in about 0.1 s on a CPU; without OpenGL it draws plainer images. Any thread may use it.

    Args:
        width: px.
        height: px.
        targets: (3,) m, base frame, where the ball will be: the view is chosen so that all of them are in it.
        shadows: draw them. They take three times as long as the rest: one more pass over all triangles per light.
        gaze: draw a line along the head camera's optical axis, as long as the target is far.
    """

    def __init__(
        self, width: int, height: int, targets: Sequence[Array] = (), *, shadows: bool = False, gaze: bool = False
    ) -> None:
        self._drawing, self._gaze = RobotDrawing(), gaze
        model = self._drawing.model
        _furnish(model)
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        if not shadows:
            model.vis.quality.shadowsize = 0
        self._shape = (height, width, 3)
        self._plain: PlainDrawing | None = None
        if can_draw():
            self._canvas = Canvas(model, height, width, max_geoms=model.ngeom + 1, thread=ROBOT_IMAGES)
            self._canvas.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
            self._canvas.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        else:
            self._plain = PlainDrawing(self._drawing, width, height)
        self.frame(targets)

    def frame(self, targets: Sequence[Array]) -> None:
        """Choose the view: from the side, a little behind the ball, with robot and ball in it.

        Args:
            targets: (3,) m, base frame; without any the robot is seen from its front left.
        """
        height, width, _ = self._shape
        target = np.mean(targets, axis=0) if len(targets) else _NO_TARGET
        left, reach = float(np.arctan2(target[1], target[0])), float(np.linalg.norm(target[:2]))
        self._view = mujoco.MjvCamera()
        self._view.lookat[:] = (0.5 * target[0], 0.5 * target[1], HEAD_HEIGHT + 0.3 * target[2])
        self._view.distance = (0.35 + 0.75 * reach) * max(1.0, _ASPECT * height / width)
        self._view.azimuth, self._view.elevation = np.rad2deg(left) + 118.0, -14.0

    def render(self, state: Array, target: Array | None) -> Image:
        """Render one (height, width, 3) RGB uint8 image.

        Args:
            state: (9,) in the order of ``ACTION_NAMES``.
            target: (3,) m, base frame; None to hide the ball.

        Raises:
            KitError: the renderer is closed.
        """
        if self._plain:
            self._drawing.set_pose(state, target)
            return self._plain.draw(self._view, target, pose_from_vector(state) if self._gaze else None)
        image = np.empty(self._shape, dtype=np.uint8)

        def add_gaze(scene: mujoco.MjvScene) -> None:
            if self._gaze and target is not None:
                _add_gaze(scene, pose_from_vector(state), float(np.linalg.norm(target)))

        def draw() -> None:
            self._drawing.set_pose(state, target)
            self._canvas.draw(self._drawing.data, self._view, image, add_gaze)

        self._canvas.run(draw)
        return np.ascontiguousarray(image[::-1])  # OpenGL counts rows from below

    def close(self) -> None:
        """Free the context."""
        if not self._plain:
            self._canvas.close()


def robot_images(states: Sequence[Array], targets: Sequence[Array], width: int = 800, height: int = 500) -> list[Image]:
    """Render the robot at several instants from one viewpoint, with shadows and the line of its gaze.

    Args:
        states: (9,) each.
        targets: (3,) m each, base frame.
        width: px.
        height: px.
    """
    with closing(RobotRenderer(width, height, targets, shadows=True, gaze=True)) as renderer:
        return [renderer.render(state, target) for state, target in zip(states, targets, strict=True)]


def _furnish(model: mujoco.MjModel) -> None:
    """Put a plain table and wall in the place of the daemon's checkered floor and blue sky."""
    model.vis.rgba.haze = _HAZE
    model.vis.map.shadowclip, model.vis.map.zfar = _SHADOWS, _HORIZON
    floor = model.geom("floor")
    floor.matid, floor.rgba = -1, _TABLE
    floor.size = _TABLE_HALF
    pixels = model.tex_height[_SKY] * model.tex_width[_SKY] * model.tex_nchannel[_SKY]
    model.tex_data[model.tex_adr[_SKY] : model.tex_adr[_SKY] + pixels] = _WALL_GREY


def _add_gaze(scene: mujoco.MjvScene, head_pose: Array, length: float) -> None:
    """Add a thin line from the camera along its optical axis; (4, 4) base ← head, length in m."""
    camera = head_pose[:3, 3] + head_pose[:3, :3] @ CAMERA_IN_HEAD + np.array([0.0, 0.0, HEAD_HEIGHT])
    line, capsule = scene.geoms[scene.ngeom], mujoco.mjtGeom.mjGEOM_CAPSULE
    mujoco.mjv_initGeom(line, capsule, np.zeros(3), np.zeros(3), np.zeros(9), np.array(_GAZE_RGBA, dtype=np.float32))
    mujoco.mjv_connector(line, capsule, _GAZE_RADIUS, camera, camera + length * head_pose[:3, 0])
    scene.ngeom += 1
