"""The robot in the browser's 3D scene.

It replaces mjviser's scene, whose environment map and shadows leave a browser without a graphics card at 0.2 frames per
second. This one reaches 2 to 25, depending on the load (1280×800, headless Chromium on two cores).
"""

import numpy as np
import viser

from reachy_sim.dynamics.model import BALL_RADIUS, BALL_RGBA
from reachy_sim.rendering.robot_drawing import RobotDrawing
from reachy_sim.rendering.robot_meshes import body_meshes

_CAMERA, _LOOK_AT, _FIELD_OF_VIEW = (1.15, -0.80, 0.50), (0.33, 0.08, 0.15), np.deg2rad(35.0)
"""Position of the viewer and the point looked at, m from the robot's foot: from its front right."""
_TABLE, _TABLE_TOP = (214, 196, 172), 0.02
"""Colour and thickness of the table, m."""
_SKY, _LAMP = 1.4, 0.8
"""Intensity of the ambient light and of the light from the viewer's side."""
_INVISIBLE_MOVE = 1e-4
"""Largest change that is not visible, m, and the same of a quaternion."""


class RobotScene:
    """Shows the robot to every connected browser.

    Args:
        server: the browsers connect to it.
        drawing: the robot.
    """

    def __init__(self, server: viser.ViserServer, drawing: RobotDrawing) -> None:
        self._server = server
        self._drawing = drawing
        self._parts: list[tuple[int, viser.SceneNodeHandle]] = []
        _light_and_furnish(server.scene)
        server.initial_camera.position, server.initial_camera.look_at = _CAMERA, _LOOK_AT
        server.initial_camera.fov = _FIELD_OF_VIEW
        model = drawing.model
        for body in range(1, model.nbody):
            for colour, (vertices, faces) in body_meshes(model, body).items():
                name = f"/robot/{body}/{'-'.join(map(str, colour))}"
                part = server.scene.add_mesh_simple(name, vertices, faces, color=colour, cast_shadow=False)
                self._parts.append((body, part))
        green = (BALL_RGBA[0], BALL_RGBA[1], BALL_RGBA[2])
        ball = server.scene.add_icosphere("/ball", radius=BALL_RADIUS, color=green, subdivisions=4, cast_shadow=False)
        self._parts.append((model.body("target").id, ball))
        self.update()

    def update(self) -> None:
        """Update the scene to the drawing's pose."""
        data = self._drawing.data
        with self._server.atomic():
            for body, part in self._parts:
                # A browser redraws for each message, so parts that stand still are not sent.
                if np.abs(data.xpos[body] - part.position).max() > _INVISIBLE_MOVE:
                    part.position = data.xpos[body].copy()
                if np.abs(data.xquat[body] - part.wxyz).max() > _INVISIBLE_MOVE:
                    part.wxyz = data.xquat[body].copy()


def _light_and_furnish(scene: viser.SceneApi) -> None:
    scene.configure_environment_map(hdri=None)
    scene.configure_default_lights(enabled=True, cast_shadow=False)
    scene.add_light_hemisphere("/sky", sky_color=(255, 255, 255), ground_color=_TABLE, intensity=_SKY)
    scene.add_light_directional("/lamp", position=(1.0, -1.0, 0.8), intensity=_LAMP, cast_shadow=False)
    scene.add_cylinder(
        "/table", radius=1.3, height=_TABLE_TOP, color=_TABLE, radial_segments=96, position=(0.0, 0.0, -_TABLE_TOP / 2)
    )
