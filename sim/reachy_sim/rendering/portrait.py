"""Pictures of the robot itself, with all its 174,000 vertices: for reports, at a third of a second each on a CPU."""

import mujoco
import numpy as np

from reachy_kit.runtime.geometry import CAMERA_IN_HEAD, pose_from_vector
from reachy_kit.runtime.interface import Array, Image
from reachy_sim.dynamics.closed_chain import ClosedChain
from reachy_sim.dynamics.model import HEAD_HEIGHT, robot_model
from reachy_sim.rendering.offscreen import offscreen_renderer

_SKY = 0
"""Texture of the sky in the daemon's scene; painted over to make a wall."""


def portraits(poses: list[Array], targets: list[Array], width: int = 800, height: int = 500) -> list[Image]:
    """The robot in each of the (9,) poses, the ball at each (3,) target in the base frame, all seen from one place."""
    model = robot_model(drawing=True)
    data, linkage = mujoco.MjData(model), ClosedChain(model)
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    model.vis.rgba.haze = (0.93, 0.93, 0.93, 1.0)
    model.geom("floor").matid = -1
    model.geom("floor").rgba = (0.72, 0.62, 0.50, 1.0)
    model.tex_data[model.tex_adr[_SKY] : model.tex_adr[_SKY] + _pixels(model, _SKY)] = 238
    ball = model.body("target").mocapid[0]
    view = _over_the_shoulder(np.mean(targets, axis=0))
    renderer = offscreen_renderer(model, height, width)
    images = []
    try:
        for pose, target in zip(poses, targets, strict=True):
            data.qpos[:] = linkage.positions(pose)
            data.mocap_pos[ball] = target + np.array([0.0, 0.0, HEAD_HEIGHT])
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, view)
            _draw_gaze(renderer.scene, pose_from_vector(pose), float(np.linalg.norm(target)))
            images.append(np.asarray(renderer.render()))
    finally:
        renderer.close()
    return images


def _over_the_shoulder(target: Array) -> mujoco.MjvCamera:
    """A view with the robot and the ball in it: from the side, a little behind the ball, looking between them."""
    left = float(np.arctan2(target[1], target[0]))
    reach = float(np.linalg.norm(target[:2]))
    view = mujoco.MjvCamera()
    view.lookat[:] = (0.5 * target[0], 0.5 * target[1], HEAD_HEIGHT + 0.3 * target[2])
    view.distance = 0.35 + 0.75 * reach
    view.azimuth, view.elevation = np.rad2deg(left) + 118.0, -14.0
    return view


def _draw_gaze(scene: mujoco.MjvScene, head_pose: Array, length: float) -> None:
    """A thin line from between the eyes along the camera's optical axis."""
    eye = head_pose[:3, 3] + head_pose[:3, :3] @ CAMERA_IN_HEAD + np.array([0.0, 0.0, HEAD_HEIGHT])
    line = scene.geoms[scene.ngeom]
    mujoco.mjv_initGeom(
        line, mujoco.mjtGeom.mjGEOM_CAPSULE, np.zeros(3), np.zeros(3), np.zeros(9), np.array([0.9, 0.3, 0.1, 0.7], "f4")
    )
    mujoco.mjv_connector(line, mujoco.mjtGeom.mjGEOM_CAPSULE, 0.0025, eye, eye + length * head_pose[:3, 0])
    scene.ngeom += 1


def _pixels(model: mujoco.MjModel, texture: int) -> int:
    return int(model.tex_height[texture] * model.tex_width[texture] * model.tex_nchannel[texture])
