"""A flat picture in a scene: a thin board with a texture, in place of the ball.

Try it: .venv/bin/python -m reachy_sim.rendering.target_gallery --out runs/targets.png
"""

import mujoco
import numpy as np

from reachy_kit.runtime.perception.targets.target_kind import TargetPicture
from reachy_sim.dynamics.model import HEAD_HEIGHT

_HALF_THICKNESS = 0.001
"""m."""
_GLOW = 0.55
"""Share of its own light in a picture's brightness: photographs and prints are lit evenly, whatever the lamp does."""


def add_picture(spec: mujoco.MjSpec, picture: TargetPicture) -> None:
    """Add the target: a board on a mocap body whose origin is the point to look at; x points out of the picture.

    Args:
        spec: of the scene.
        picture: what is shown.
    """
    rows, columns, _ = picture.image.shape
    pixel = picture.width / columns
    column, row = picture.centre
    left, right = -(column + 0.5) * pixel, (columns - column - 0.5) * pixel  # y points to the viewer's right
    top, bottom = (row + 0.5) * pixel, (row + 0.5 - rows) * pixel
    front = [(_HALF_THICKNESS, y, z) for y, z in ((left, top), (right, top), (right, bottom), (left, bottom))]
    vertices = np.array([*front, *[(-x, y, z) for x, y, z in front]])
    faces = [[0, 2, 3], [0, 1, 2], [4, 6, 5], [4, 7, 6]]
    for first, second in ((0, 1), (1, 2), (2, 3), (3, 0)):
        faces += [[first, second + 4, second], [first, first + 4, second + 4]]
    corners = np.array([(0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0)] * 2)
    spec.add_mesh(
        name="picture",
        uservert=vertices.ravel(),
        userface=np.array(faces).ravel(),
        usertexcoord=corners.ravel(),
        userfacetexcoord=np.array(faces).ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    texture = spec.add_texture(
        name="picture", type=mujoco.mjtTexture.mjTEXTURE_2D, width=columns, height=rows, nchannel=3
    )
    texture.data = np.ascontiguousarray(picture.image[::-1]).tobytes()
    material = spec.add_material(name="picture", emission=_GLOW, specular=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "picture"
    body = spec.worldbody.add_body(name="target", mocap=True, pos=[0.8, 0.0, HEAD_HEIGHT])
    body.add_geom(
        name="target",
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname="picture",
        material="picture",
        contype=0,
        conaffinity=0,
    )
