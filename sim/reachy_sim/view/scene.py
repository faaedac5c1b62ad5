"""The robot in the browser's 3D scene: viser draws, mjviser turns MuJoCo's geoms into meshes.

mjviser's own scene is left aside for its price: with its environment map and shadows a browser without a graphics card
drew 0.2 pictures a second; this one 2 to 25, as busy as the computer was (1280×800, headless Chromium on two cores).
"""

import mujoco
import numpy as np
import viser
from mjviser.conversions import get_body_name, group_geoms_by_visual_compat, is_fixed_body, merge_geoms
from trimesh.graph import smooth_shade

from reachy_sim.view.figure import Figure

_CAMERA, _LOOK_AT, _FIELD_OF_VIEW = (1.15, -0.80, 0.50), (0.33, 0.08, 0.15), np.deg2rad(35.0)
"""m, the robot's foot is the origin: from its front right, the robot on the left and its ball on the right."""
_TABLE, _TABLE_TOP = (214, 196, 172), 0.02
"""Colour, and thickness in m."""
_LAMPS = (((1.0, -1.0, 0.6), 1.4), ((-1.0, -1.0, 0.4), 0.9), ((0.8, 0.6, -0.6), 0.7))
"""Where in m, and how bright. viser takes these meshes for metal, which no ambient light reaches."""
_EDGE = np.deg2rad(40.0)
"""rad between neighbouring faces above which an edge stays sharp."""


class RobotScene:
    """Shows a figure to every browser that looks.

    Args:
        server: where the browsers are.
        figure: the robot.
    """

    def __init__(self, server: viser.ViserServer, figure: Figure) -> None:
        self._server = server
        self._figure = figure
        self._parts: list[tuple[int, viser.GlbHandle]] = []
        _light_and_furnish(server.scene)
        server.initial_camera.position, server.initial_camera.look_at = _CAMERA, _LOOK_AT
        server.initial_camera.fov = _FIELD_OF_VIEW
        for body, geoms in _geoms_by_body(figure.model).items():
            for index, similar in enumerate(group_geoms_by_visual_compat(figure.model, geoms)):
                mesh = smooth_shade(merge_geoms(figure.model, similar), angle=_EDGE, facet_minarea=None)
                mesh.vertex_normals  # noqa: B018  computed here, they are sent along; without them every facet shows
                name = f"/robot/{get_body_name(figure.model, body)}/{index}"
                handle = server.scene.add_mesh_trimesh(name, mesh, cast_shadow=False, receive_shadow=False)
                self._parts.append((body, handle))
        self.update()

    def update(self) -> None:
        """Bring the scene to where the figure stands."""
        data = self._figure.data
        with self._server.atomic():
            for body, handle in self._parts:
                handle.position, handle.wxyz = data.xpos[body].copy(), data.xquat[body].copy()


def _geoms_by_body(model: mujoco.MjModel) -> dict[int, list[int]]:
    """Everything that moves."""
    found: dict[int, list[int]] = {}
    for geom in range(model.ngeom):
        body = int(model.geom_bodyid[geom])
        if body and not (is_fixed_body(model, body) and model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE):
            found.setdefault(body, []).append(geom)
    return found


def _light_and_furnish(scene: viser.SceneApi) -> None:
    scene.configure_environment_map(hdri=None)
    scene.configure_default_lights(enabled=True, cast_shadow=False)
    for index, (place, intensity) in enumerate(_LAMPS):
        scene.add_light_directional(f"/lamps/{index}", position=place, intensity=intensity, cast_shadow=False)
    scene.add_cylinder(
        "/table", radius=1.3, height=_TABLE_TOP, color=_TABLE, radial_segments=96, position=(0.0, 0.0, -_TABLE_TOP / 2)
    )
