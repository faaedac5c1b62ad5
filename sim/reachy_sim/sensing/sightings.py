"""Sightings: a target's detector on rendered frames of known geometry.

Rendered frames have neither motion blur, sensor noise nor lens distortion: their errors are the least that the detector
makes, not its errors on a real camera (reachy_sim.sensing_noise lists what is added).
"""

import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.geometry import CAMERA_IN_HEAD, bearing, pose_from_vector
from reachy_kit.runtime.interface import Array
from reachy_kit.runtime.perception.camera import PinholeCamera
from reachy_kit.runtime.perception.images import reduce_width
from reachy_kit.runtime.perception.target import SIZE_RADIUS
from reachy_kit.runtime.perception.targets.target_registry import BALL, target_by_name
from reachy_sim.dynamics.model import BALL_RADIUS, HEAD_HEIGHT
from reachy_sim.rendering.head_camera import HeadCameraRenderer

WHOLE = 1.2
"""Least distance of a whole ball's centre from the nearest edge of the frame, in half-widths of its image: 1, plus the
offset between the image's centre and the ball's."""
DISTANCE = (0.3, 3.0)
"""Distance of a ball from the camera, m, uniform in the logarithm: radii of 2 to 20 px in the simulated camera."""
PICTURE_DISTANCE = (0.4, 1.5)
"""The same of a picture, m: the distances of the tasks, and some more."""
PICTURE_TURN = np.deg2rad([20.0, 15.0, 30.0])
"""Largest turn of a picture about its own axes, rad: tilted, nodding, turned away."""


@dataclass(frozen=True)
class Sightings:
    """Measurements of a detector on M frames, and the geometry of the same frames."""

    bearing: Array
    """(M, 2) rad right of and below the optical axis, from geometry."""
    size: Array
    """(M,) rad, ``target_size``, from geometry."""
    inside: Array
    """(M,) distance of the target's centre inside the nearest edge of the frame, in half-widths of its image.
    Below 0 it is outside; from about 1 on the whole target is in the frame."""
    found: npt.NDArray[np.bool_]
    """(M,) whether the detector found the target."""
    measured: Array
    """(M, 3) rad: right, below, size, from the detector; NaN where it found nothing."""
    seconds: Array | None = None
    """(M,) s of computing that the detector took, without waiting for other programs."""

    @property
    def whole(self) -> npt.NDArray[np.bool_]:
        """(M,) whether the target's whole image lies in the frame."""
        return self.inside >= WHOLE


def render_sightings(count: int, seed: int = 0, target: str = BALL) -> Sightings:
    """Render targets at random places in and around the image from random poses; look for them in every frame.

    Args:
        count: frames.
        seed: of the random places and poses.
        target: as ``--target`` gives it.

    Raises:
        WrongUseError: the target does not exist, or is not looked for in our own frames.
        KitError: no off-screen renderer works here.
    """
    named = target_by_name(target)
    if named.kind.open_detector is None:
        raise WrongUseError(f"{target} is not looked for in frames of this computer, so nothing can be measured here")
    detector, camera = named.kind.open_detector(named.argument), named.kind.camera
    picture = named.kind.picture(named.argument) if named.kind.picture else None
    rng = np.random.default_rng(seed)
    radius, distances = (BALL_RADIUS, DISTANCE) if picture is None else (picture.radius, PICTURE_DISTANCE)
    poses, targets, in_camera = _draw(count, rng, camera, radius, distances)
    turns = np.zeros((count, 3)) if picture is None else rng.uniform(-PICTURE_TURN, PICTURE_TURN, (count, 3))
    shown, measured, seconds = np.ones(1, dtype=np.bool_), np.full((count, 3), np.nan), np.zeros(count)
    with closing(HeadCameraRenderer(camera, picture)) as renderer:
        for index in range(count):
            here = slice(index, index + 1)
            image = renderer.render_batch(poses[here], targets[here], shown, turns=turns[here])[0]
            detector.reset()
            started = time.thread_time()
            found = detector.detect(reduce_width(image, detector.width))
            seconds[index] = time.thread_time() - started
            if found is not None:
                measured[index] = found
    size = np.arcsin(SIZE_RADIUS / np.linalg.norm(in_camera, axis=-1))
    inside = _inside(in_camera, camera, radius)
    return Sightings(bearing(in_camera), size, inside, np.isfinite(measured[:, 0]), measured, seconds)


def _inside(in_camera: Array, camera: PinholeCamera, radius: float) -> Array:
    """``Sightings.inside`` from (M, 3) m in the camera's frame. Off the axis a ball's image is an ellipse."""
    across, ahead = in_camera[:, :2], in_camera[:, 2:]
    half_width = radius * np.sqrt(across**2 + ahead**2 - radius**2) / (ahead**2 - radius**2)
    edge = np.array([camera.width, camera.height]) / 2 / camera.focal
    inside: Array = np.min((edge - np.abs(across / ahead)) / half_width, axis=-1)
    return inside


def _draw(
    count: int, rng: np.random.Generator, camera: PinholeCamera, radius: float, distances: tuple[float, float]
) -> tuple[Array, Array, Array]:
    """Draw (M, 4, 4) head poses, and (M, 3) m of targets above the table in the base and in the camera's frame."""
    kept: list[tuple[Array, Array, Array]] = []
    while sum(len(poses) for poses, _, _ in kept) < count:
        limits = np.array([0.015] * 3 + [0.3, 0.3, 1.0])
        poses = pose_from_vector(rng.uniform(-limits, limits, (count, 6)))
        distance = np.exp(rng.uniform(np.log(distances[0]), np.log(distances[1]), count))
        half = np.array([camera.width, camera.height]) / 2 / camera.focal + 2 * radius / distance[:, None]
        rays = np.hstack([rng.uniform(-half, half), np.ones((count, 1))])
        in_camera = distance[:, None] * rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        in_head = CAMERA_IN_HEAD + in_camera[:, [2, 0, 1]] * [1, -1, -1]
        targets = poses[:, :3, 3] + np.sum(poses[:, :3, :3] * in_head[:, None, :], axis=-1)
        above = targets[:, 2] + HEAD_HEIGHT > BALL_RADIUS
        kept.append((poses[above], targets[above], in_camera[above]))
    poses, targets, in_camera = (np.concatenate(parts)[:count] for parts in zip(*kept, strict=True))
    return poses, targets, in_camera
