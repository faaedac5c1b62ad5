"""What the robot's eye sees, drawn off-screen: the ball over a table, without the robot's own 174,000 vertices.

The camera is the pinhole of reachy_kit.perception.camera at the SDK's place in the head, so that bearings measured in
the picture and bearings from geometry are the same numbers. It needs EGL or OSMesa.
"""

import mujoco
import numpy as np

from reachy_kit.errors import KitError
from reachy_kit.geometry import CAMERA_IN_HEAD
from reachy_kit.interface import Array, Image
from reachy_kit.perception.camera import SIM_CAMERA, PinholeCamera
from reachy_sim.model import HEAD_HEIGHT, add_ball

_MUJOCO_CAMERA_IN_HEAD = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Columns are MuJoCo's camera axes (x right, y up, z backward) in the head frame."""

_OUT_OF_SIGHT = (0.0, 0.0, -10.0)
"""m, under the table."""


class EyeCamera:
    """Renders from a head pose; one off-screen context, freed by close().

    Args:
        camera: size and focal length.

    Raises:
        KitError: no off-screen renderer works here.
    """

    def __init__(self, camera: PinholeCamera = SIM_CAMERA) -> None:
        self.shape = (camera.height, camera.width, 3)
        self._model = _scene(camera)
        self._data = mujoco.MjData(self._model)
        self._renderer = offscreen_renderer(self._model, camera.height, camera.width)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False

    def render(self, head_pose: Array, target: Array | None) -> Image:
        """(H, W, 3) RGB uint8.

        Args:
            head_pose: (4, 4) base ← head.
            target: (3,) m, base frame; None while the ball is hidden.
        """
        lift = np.array([0.0, 0.0, HEAD_HEIGHT])
        rotation = head_pose[:3, :3]
        quaternion = np.empty(4)
        mujoco.mju_mat2Quat(quaternion, (rotation @ _MUJOCO_CAMERA_IN_HEAD).ravel())
        eye, ball = self._model.body("eye").mocapid[0], self._model.body("target").mocapid[0]
        self._data.mocap_pos[eye] = head_pose[:3, 3] + rotation @ CAMERA_IN_HEAD + lift
        self._data.mocap_quat[eye] = quaternion
        self._data.mocap_pos[ball] = _OUT_OF_SIGHT if target is None else target + lift
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, camera="eye")
        return np.asarray(self._renderer.render())

    def close(self) -> None:
        """Free the context."""
        self._renderer.close()


def offscreen_renderer(model: mujoco.MjModel, height: int, width: int) -> mujoco.Renderer:
    """A renderer without a screen.

    Raises:
        KitError: neither EGL nor OSMesa works here.
    """
    try:
        return mujoco.Renderer(model, height, width)
    except Exception as error:  # each GL binding raises errors of its own
        raise KitError(
            f"cannot draw off-screen ({error}): install libegl1, or libosmesa6 and set MUJOCO_GL=osmesa"
        ) from error


def _scene(camera: PinholeCamera) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.visual.quality.offsamples = 0
    spec.visual.headlight.ambient = [0.45, 0.45, 0.45]
    spec.visual.headlight.diffuse = [0.5, 0.5, 0.5]
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.93, 0.91, 0.87],
        rgb2=[0.75, 0.74, 0.72],
        width=64,
        height=384,
    )
    spec.add_texture(
        name="table",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.62, 0.50, 0.38],
        rgb2=[0.57, 0.45, 0.34],
        width=64,
        height=64,
    )
    material = spec.add_material(name="table", texrepeat=[8, 8], texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "table"
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.05], material="table")
    spec.worldbody.add_light(pos=[0.3, 0.5, 2.0], dir=[0.1, -0.2, -1.0])
    eye = spec.worldbody.add_body(name="eye", mocap=True)
    eye.add_camera(name="eye", fovy=np.rad2deg(camera.vertical_field_of_view))
    add_ball(spec)
    return spec.compile()
