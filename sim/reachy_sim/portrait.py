"""Pictures of the robot itself, with all its 174,000 vertices: for reports, at a third of a second each on a CPU."""

import mujoco
import numpy as np

from reachy_kit.interface import Array, Image
from reachy_sim.model import HEAD_HEIGHT
from reachy_sim.physics import Physics


def portraits(poses: list[Array], targets: list[Array], width: int = 640, height: int = 480) -> list[Image]:
    """The robot in each of the (9,) poses, with the ball at each (3,) target in the base frame."""
    physics = Physics(0.0, drawing=True)
    model, data = physics.model, physics.data
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    ball = model.body("target").mocapid[0]
    view = mujoco.MjvCamera()
    view.lookat[:] = (0.15, 0.0, 0.16)
    view.distance, view.azimuth, view.elevation = 1.05, 215.0, -14.0
    renderer = mujoco.Renderer(model, height, width)
    images = []
    try:
        for pose, target in zip(poses, targets, strict=True):
            physics.reset(pose)
            data.mocap_pos[ball] = target + np.array([0.0, 0.0, HEAD_HEIGHT])
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, view)
            images.append(np.asarray(renderer.render()))
    finally:
        renderer.close()
    return images
