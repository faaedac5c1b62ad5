"""Sightings: the ball detector on rendered frames of known geometry.

Rendered frames have neither motion blur, sensor noise nor lens distortion: their errors are the least that the detector
makes, not its errors on a real camera (reachy_sim.sensing_noise lists what is added).
"""

from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from reachy_kit.runtime.geometry import CAMERA_IN_HEAD, bearing, pose_from_vector
from reachy_kit.runtime.interface import CAMERA, NEUTRAL, Array, Observation
from reachy_kit.runtime.perception.camera import SIM_CAMERA, PinholeCamera
from reachy_kit.runtime.perception.target import SIZE, VISIBLE
from reachy_kit.runtime.perception.targets.ball_target import BallDetector
from reachy_kit.runtime.perception.targets.camera_perception import CameraPerception
from reachy_sim.dynamics.model import BALL_RADIUS, HEAD_HEIGHT
from reachy_sim.rendering.head_camera import HeadCameraRenderer

WHOLE = 1.2
"""Least distance of a whole ball's centre from the nearest edge of the frame, in half-widths of its image: 1, plus the
offset between the image's centre and the ball's."""
DISTANCE = (0.3, 3.0)
"""Distance from the camera, m, uniform in the logarithm: radii of 2 to 20 px in the simulated camera."""


@dataclass(frozen=True)
class Sightings:
    """Measurements of the ball detector on M frames, and the geometry of the same frames."""

    bearing: Array
    """(M, 2) rad right of and below the optical axis, from geometry."""
    size: Array
    """(M,) rad, apparent radius, from geometry."""
    inside: Array
    """(M,) distance of the ball's centre inside the nearest edge of the frame, in half-widths of the ball's image.
    Below 0 it is outside; from about 1 on the whole ball is in the frame."""
    found: npt.NDArray[np.bool_]
    """(M,) whether the detector found a ball."""
    measured: Array
    """(M, 3) rad: right, below, size, from the detector; NaN where it found nothing."""

    @property
    def whole(self) -> npt.NDArray[np.bool_]:
        """(M,) whether the ball's whole image lies in the frame."""
        return self.inside >= WHOLE


def render_sightings(
    count: int, seed: int = 0, camera: PinholeCamera = SIM_CAMERA, *, progress: bool = False
) -> Sightings:
    """Render balls at random places in and around the image from random poses, and run the detector on every frame.

    Args:
        count: frames.
        seed: of the random places and poses.
        camera: size of the frames.
        progress: show a bar.

    Raises:
        KitError: no off-screen renderer works here.
    """
    poses, targets, in_camera = _draw(count, np.random.default_rng(seed), camera)
    measured = np.full((count, 3), np.nan)
    with closing(HeadCameraRenderer(camera)) as renderer:
        for index in track(range(count), "frames", console=Console(stderr=True), disable=not progress):
            image = renderer.render(poses[index], targets[index])
            features = CameraPerception(BallDetector()).perceive(Observation(NEUTRAL, 0.0, images={CAMERA: image}))
            if features[VISIBLE]:
                measured[index] = features[: SIZE + 1]
    size = np.arcsin(BALL_RADIUS / np.linalg.norm(in_camera, axis=-1))
    inside = _inside(in_camera, camera)
    return Sightings(bearing(in_camera), size, inside, np.isfinite(measured[:, 0]), measured)


def _inside(in_camera: Array, camera: PinholeCamera) -> Array:
    """``Sightings.inside`` from (M, 3) m in the camera's frame. Off the axis a ball's image is an ellipse."""
    across, ahead = in_camera[:, :2], in_camera[:, 2:]
    half_width = BALL_RADIUS * np.sqrt(across**2 + ahead**2 - BALL_RADIUS**2) / (ahead**2 - BALL_RADIUS**2)
    edge = np.array([camera.width, camera.height]) / 2 / camera.focal
    inside: Array = np.min((edge - np.abs(across / ahead)) / half_width, axis=-1)
    return inside


def _draw(count: int, rng: np.random.Generator, camera: PinholeCamera) -> tuple[Array, Array, Array]:
    """Draw (M, 4, 4) head poses, and (M, 3) m of balls above the table in the base and in the camera's frame."""
    kept: list[tuple[Array, Array, Array]] = []
    while sum(len(poses) for poses, _, _ in kept) < count:
        limits = np.array([0.015] * 3 + [0.3, 0.3, 1.0])
        poses = pose_from_vector(rng.uniform(-limits, limits, (count, 6)))
        distance = np.exp(rng.uniform(np.log(DISTANCE[0]), np.log(DISTANCE[1]), count))
        half = np.array([camera.width, camera.height]) / 2 / camera.focal + 2 * BALL_RADIUS / distance[:, None]
        rays = np.hstack([rng.uniform(-half, half), np.ones((count, 1))])
        in_camera = distance[:, None] * rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        in_head = CAMERA_IN_HEAD + in_camera[:, [2, 0, 1]] * [1, -1, -1]
        targets = poses[:, :3, 3] + np.sum(poses[:, :3, :3] * in_head[:, None, :], axis=-1)
        above = targets[:, 2] + HEAD_HEIGHT > BALL_RADIUS
        kept.append((poses[above], targets[above], in_camera[above]))
    poses, targets, in_camera = (np.concatenate(parts)[:count] for parts in zip(*kept, strict=True))
    return poses, targets, in_camera
