"""The head camera's image, rendered off-screen: the ball over a table, without the robot's own 174,000 vertices.

The camera is the pinhole of reachy_kit.runtime.perception.camera at the SDK's place in the head, so that bearings
measured in the image and bearings from geometry are the same numbers. One context draws any number of environments one
after the other; it needs EGL or OSMesa. Nearly all the time goes into OpenGL; setting up a frame takes a hundredth.
"""

import mujoco
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.geometry import CAMERA_IN_HEAD
from reachy_kit.runtime.interface import Array, Image
from reachy_kit.runtime.perception.camera import SIM_CAMERA, PinholeCamera
from reachy_kit.runtime.perception.targets.target_kind import TargetPicture
from reachy_sim.dynamics.model import HEAD_HEIGHT, add_ball
from reachy_sim.rendering.flat_picture import add_picture
from reachy_sim.rendering.offscreen import Canvas
from reachy_sim.rendering.visuals import CLUTTER, NOMINAL, Visuals

_CAMERA_AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Columns are the camera's axes (x right, y down, z forward) in the head frame."""
_MUJOCO_AXES = np.array([1.0, -1.0, -1.0])
"""Signs of the camera's axes as MuJoCo has them (x right, y up, z backward)."""
_OUT_OF_SIGHT = (0.0, 0.0, -10.0)
"""Place of hidden things, m: under the table."""
_LIFT = np.array([0.0, 0.0, HEAD_HEIGHT])
_NEUTRAL_CAMERA = CAMERA_IN_HEAD + _LIFT
_LOWER = 0.4
"""Depth of the table below its usual place where a picture is shown, m: a person sits behind it, not on it."""
_HEADLIGHT = {"ambient": 0.45, "diffuse": 0.5, "specular": 0.5}
_LAMP_DIFFUSE, _LAMP_SPECULAR = 0.7, 0.3
"""Lights: MuJoCo's defaults, like the headlight's."""
_LIT = np.array([0.5, 0.1, 0.0])
"""Point of the table at which the lamp points, m."""
_EXTENT = 1.135
"""Extent of the scene without a room, m; MuJoCo's near and far planes follow from it."""
_ROOM, _CEILING, _WALL_HALF = 3.0, 2.8, 0.05
"""Distances from the robot to each wall and from the table to the ceiling, and half the thickness of both, m."""
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))
_TABLE, _WALL = 0, 1
"""Materials."""
_NO_CONTACT = {"contype": 0, "conaffinity": 0}


class HeadCameraRenderer:
    """Renders from head poses; one off-screen context, freed by close() or with the camera. Any thread may use it.

    Args:
        camera: size and focal length.
        picture: is shown in place of the ball, upright and turned towards the robot; None shows the ball.

    Raises:
        KitError: no off-screen renderer works here.
    """

    def __init__(self, camera: PinholeCamera = SIM_CAMERA, picture: TargetPicture | None = None) -> None:
        self.shape = (camera.height, camera.width, 3)
        self._picture = picture
        self._field_of_view = np.rad2deg(camera.vertical_field_of_view)
        self._model = _scene(camera, picture)
        self._data = mujoco.MjData(self._model)
        self._camera, self._ball = (self._model.body(name).mocapid[0] for name in ("camera", "target"))
        self._clutter = np.array([self._model.geom(f"clutter {index}").id for index in range(CLUTTER)])
        self._view = mujoco.MjvCamera()
        self._view.type, self._view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0
        self._canvas = Canvas(self._model, camera.height, camera.width)
        self._canvas.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        self._canvas.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False

    def render(self, head_pose: Array, target: Array | None, visuals: Visuals | None = None) -> Image:
        """Render one (H, W, 3) RGB uint8 image.

        Args:
            head_pose: (4, 4) base ← head.
            target: (3,) m, base frame; None while the ball is hidden.
            visuals: appearance of the world; None = as in training.
        """
        ball = np.zeros(3) if target is None else target
        image: Image = self.render_batch(head_pose[None], ball[None], np.array([target is not None]), visuals)[0]
        return image

    def render_batch(
        self,
        head_poses: Array,
        targets: Array,
        shown: npt.NDArray[np.bool_],
        visuals: Visuals | None = None,
        turns: Array | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Render (N, H, W, 3) RGB uint8, one frame per environment.

        Args:
            head_poses: (N, 4, 4) base ← head.
            targets: (N, 3) m, base frame.
            shown: (N,) False while the ball is hidden.
            visuals: appearance of each world; None = all as in training.
            turns: (N, 3) rad, rotation vectors of the pictures in their own frame (x towards the robot, z up); None
                leaves them turned towards the robot.

        Raises:
            WrongUseError: visuals for another number of environments.
            KitError: the camera is closed.
        """
        count = len(head_poses)
        rows = (visuals or NOMINAL).rows(count)
        places = head_poses[:, :3, 3] + np.sum(head_poses[:, :3, :3] * CAMERA_IN_HEAD, axis=-1) + _LIFT
        axes = head_poses[:, :3, :3] @ _CAMERA_AXES
        places = places + np.sum(axes * rows["camera_shift"][:, None, :], axis=-1)
        balls = np.where(shown[:, None], targets + _LIFT, _OUT_OF_SIGHT)
        images = np.empty((count, *self.shape), dtype=np.uint8)

        def draw() -> None:
            for index in range(count):
                self._apply({name: values[index] for name, values in rows.items()})
                self._place(places[index], axes[index], rows["camera_turn"][index], balls[index])
                if self._picture is not None:
                    self._turn(balls[index], np.zeros(3) if turns is None else turns[index])
                self._canvas.draw(self._data, self._view, images[index])

        self._canvas.run(draw)
        return np.ascontiguousarray(images[:, ::-1])  # OpenGL counts rows from below

    def close(self) -> None:
        """Free the context."""
        self._canvas.close()

    def _place(self, place: Array, axes: Array, turn: Array, ball: Array) -> None:
        """Place camera and ball, in m above the table; mj_forward takes 3 µs here."""
        aim, extra = np.empty(4), np.empty(4)
        mujoco.mju_mat2Quat(aim, (axes * _MUJOCO_AXES).ravel())
        angle = float(np.linalg.norm(turn))
        mujoco.mju_axisAngle2Quat(extra, turn * _MUJOCO_AXES / (angle or 1.0), angle)
        mujoco.mju_mulQuat(self._data.mocap_quat[self._camera], aim, extra)
        self._data.mocap_pos[self._camera] = place
        self._data.mocap_pos[self._ball] = ball
        mujoco.mj_forward(self._model, self._data)

    def _turn(self, place: Array, turn: Array) -> None:
        """Turn the picture to the neutral camera, then by a rotation vector in its own frame."""
        x, y, z = _NEUTRAL_CAMERA - place
        face, extra = np.empty(4), np.empty(4)
        yaw, pitch = np.arctan2(y, x), -np.arctan2(z, np.hypot(x, y))
        mujoco.mju_euler2Quat(face, np.array([yaw, pitch, 0.0]), "zyx")
        angle = float(np.linalg.norm(turn))
        mujoco.mju_axisAngle2Quat(extra, turn / (angle or 1.0), angle)
        mujoco.mju_mulQuat(self._data.mocap_quat[self._ball], face, extra)
        mujoco.mj_forward(self._model, self._data)

    def _apply(self, visuals: dict[str, Array]) -> None:
        """Write one environment's visuals into the model. Textures stay: an upload takes 5 ms, like four frames."""
        model, light = self._model, visuals["brightness"]
        if self._picture is None:
            model.geom("target").rgba[:3] = visuals["ball"]
        for part, value in _HEADLIGHT.items():
            getattr(model.vis.headlight, part)[:] = value * light
        model.light_diffuse[0], model.light_specular[0] = _LAMP_DIFFUSE * light, _LAMP_SPECULAR * light
        model.light_pos[0] = visuals["lamp"] + _LIFT
        beam = _LIT - model.light_pos[0]
        model.light_dir[0] = beam / np.linalg.norm(beam)
        model.mat_rgba[_TABLE, :3], model.mat_rgba[_WALL] = visuals["table"], visuals["wall"]
        model.mat_texrepeat[_TABLE] = visuals["checks"]
        things, half = visuals["clutter"], visuals["clutter"][:, 2]
        model.geom_pos[self._clutter, :2], model.geom_pos[self._clutter, 2] = things[:, :2], half
        model.geom_size[self._clutter] = half[:, None]
        model.geom_rgba[self._clutter, :3], model.geom_rgba[self._clutter, 3] = things[:, 3:], half > 0
        model.cam_fovy[0] = self._field_of_view * visuals["view"]


def _scene(camera: PinholeCamera, picture: TargetPicture | None) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 0  # an unused shadow map takes 64 MB and most of the opening time
    spec.visual.global_.offwidth, spec.visual.global_.offheight = camera.width, camera.height
    spec.stat.extent = _EXTENT
    _add_table_and_sky(spec, 0.0 if picture is None else -_LOWER)
    _add_room(spec)
    spec.worldbody.add_light()
    mount = spec.worldbody.add_body(name="camera", mocap=True)
    mount.add_camera(name="camera", fovy=np.rad2deg(camera.vertical_field_of_view))
    if picture is None:
        add_ball(spec)
    else:
        add_picture(spec, picture)
    return spec.compile()


def _add_table_and_sky(spec: mujoco.MjSpec, height: float) -> None:
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
    material = spec.add_material(name="table", texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "table"
    size, place = [_ROOM, _ROOM, 0.05], [0.0, 0.0, height]
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=size, pos=place, material="table")


def _add_room(spec: mujoco.MjSpec) -> None:
    """Walls, a ceiling and things on the table, each visible only where the visuals ask for it."""
    spec.add_material(name="wall", specular=0.0)
    out, high = _ROOM + _WALL_HALF, _CEILING / 2
    walls = [([x * out, y * out, high], [_WALL_HALF if x else out, _WALL_HALF if y else out, high]) for x, y in _SIDES]
    for place, size in [*walls, ([0, 0, _CEILING + _WALL_HALF], [out, out, _WALL_HALF])]:
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=place, size=size, material="wall", **_NO_CONTACT)
    for index in range(CLUTTER):
        shape = mujoco.mjtGeom.mjGEOM_SPHERE if index % 2 else mujoco.mjtGeom.mjGEOM_BOX
        name, place = f"clutter {index}", [1.0, float(index), 1.0]
        spec.worldbody.add_geom(type=shape, name=name, pos=place, size=[0.1] * 3, **_NO_CONTACT)
