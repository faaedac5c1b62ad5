"""The robot drawn without OpenGL: shaded triangles, the farthest first, for computers on which nothing else can draw.

Films of the robot alone, and those of ``eval --html``, then still show what it did. The head camera's image, which
policies see, is never drawn so; nor is the demo's film, which shows it.
"""

from dataclasses import dataclass

import cv2
import mujoco
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.geometry import CAMERA_IN_HEAD
from reachy_kit.runtime.interface import Array, Image
from reachy_sim.dynamics.model import BALL_RADIUS, BALL_RGBA, HEAD_HEIGHT
from reachy_sim.rendering.robot_drawing import RobotDrawing
from reachy_sim.rendering.robot_meshes import Mesh, body_meshes, joined

_WALL, _TABLE, _GAZE = (238, 238, 238), (210, 180, 146), (230, 77, 26)
"""Colours, as those with OpenGL."""
_TABLE_HALF = 6.0
"""Distance of the table's edge, m."""
_AMBIENT = 0.6
"""Share of the light that comes from everywhere; the rest comes from the viewer's side."""
_SHIFT = 4
"""Binary digits of a pixel's fraction in OpenCV's coordinates."""
_BALL = (round(255 * BALL_RGBA[0]), round(255 * BALL_RGBA[1]), round(255 * BALL_RGBA[2]))


@dataclass(frozen=True)
class _Camera:
    """A pinhole that looks at a point."""

    position: Array
    """(3,) m above the table."""
    rotation: Array
    """(3, 3) camera (x right, y down, z forward) ← table."""
    focal: float
    """Focal length, px."""
    centre: Array
    """(2,) px."""

    @classmethod
    def of(cls, view: mujoco.MjvCamera, field_of_view: float, width: int, height: int) -> "_Camera":
        azimuth, elevation = np.deg2rad([view.azimuth, view.elevation])
        forward = np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        )
        right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
        focal = height / 2 / np.tan(field_of_view / 2)
        position = np.asarray(view.lookat) - view.distance * forward
        return cls(position, np.stack([right, np.cross(forward, right), forward]), focal, np.array([width, height]) / 2)

    def see(self, points: Array) -> Array:
        """Points (..., 3) m above the table in the camera's frame."""
        return (points - self.position) @ self.rotation.T

    def project(self, seen: Array) -> Array:
        """Pixels (..., 2) of points in the camera's frame."""
        return self.centre + self.focal * seen[..., :2] / seen[..., 2:]


class PlainDrawing:
    """Draws the robot, the ball and the line of gaze on a table, in about 0.2 s per image.

    Args:
        drawing: the robot; its pose is drawn.
        width: px.
        height: px.
    """

    def __init__(self, drawing: RobotDrawing, width: int, height: int) -> None:
        self._drawing, self._size = drawing, (width, height)
        model = drawing.model
        self._field_of_view = np.deg2rad(model.vis.global_.fovy)
        meshes: list[Mesh] = []
        colours: list[Array] = []
        self._bodies: list[int] = []
        for body in range(1, model.nbody):
            for colour, mesh in body_meshes(model, body).items():
                meshes.append(mesh)
                self._bodies.append(body)
                colours.append(np.tile(colour, (len(mesh[1]), 1)))
        self._parts = [vertices for vertices, _ in meshes]
        _, self._faces = joined(meshes)
        self._colours = np.concatenate(colours)

    def draw(self, view: mujoco.MjvCamera, target: Array | None, head_pose: Array | None) -> Image:
        """Draw one (height, width, 3) RGB uint8 image.

        Args:
            view: of the viewer.
            target: (3,) m, base frame; None to hide the ball.
            head_pose: (4, 4) base ← head, whose line of gaze is drawn; None draws none.
        """
        camera = _Camera.of(view, self._field_of_view, *self._size)
        image = _background(camera, *self._size)
        points, colours, depths = self._triangles(camera)
        ball = None if target is None else camera.see(_above_table(target))
        nearer = np.searchsorted(-depths, -ball[2]) if ball is not None else len(depths)
        _fill(image, points[:nearer], colours[:nearer])
        if ball is not None:
            _draw_ball(image, camera, ball)
            _fill(image, points[nearer:], colours[nearer:])
        if head_pose is not None and target is not None:
            _draw_gaze(image, camera, head_pose, float(np.linalg.norm(target)))
        return image

    def _triangles(self, camera: _Camera) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8], Array]:
        """Triangles that face the camera, the farthest first: (T, 3, 2) pixels, (T, 3) colours, (T,) m of depth."""
        data = self._drawing.data
        placed = [
            vertices @ data.xmat[body].reshape(3, 3).T + data.xpos[body]
            for body, vertices in zip(self._bodies, self._parts, strict=True)
        ]
        corners = camera.see(np.concatenate(placed))[self._faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        facing = np.einsum("ti,ti->t", normals, corners[:, 0]) < 0
        corners, normals, colours = corners[facing], normals[facing], self._colours[facing]
        # Light from the viewer's upper left; y points down and z away from the viewer.
        towards_light = np.array([-0.4, -0.6, -0.7]) / np.linalg.norm([0.4, 0.6, 0.7])
        lit = np.clip(normals @ towards_light / np.maximum(np.linalg.norm(normals, axis=-1), 1e-12), 0.0, 1.0)
        depths = corners[:, :, 2].mean(axis=1)
        order = np.argsort(-depths)
        shaded = colours * (_AMBIENT + (1 - _AMBIENT) * lit)[:, None]
        pixels = np.round(camera.project(corners) * 2**_SHIFT).astype(np.int32)
        return pixels[order], shaded[order].astype(np.uint8), depths[order]


def _above_table(point: Array) -> Array:
    return np.asarray(point + np.array([0.0, 0.0, HEAD_HEIGHT]))


def _background(camera: _Camera, width: int, height: int) -> Image:
    """Fill the wall, and the table up to its far edge: a horizontal line, since the viewer's head is upright."""
    image = np.full((height, width, 3), _WALL, dtype=np.uint8)
    ahead = camera.rotation[2] * (1.0, 1.0, 0.0)
    edge = camera.see(_TABLE_HALF * ahead / np.linalg.norm(ahead))
    image[int(np.clip(camera.project(edge)[1], 0, height)) :] = _TABLE
    return image


def _fill(image: Image, points: npt.NDArray[np.int32], colours: npt.NDArray[np.uint8]) -> None:
    for triangle, colour in zip(points, colours.tolist(), strict=True):
        cv2.fillConvexPoly(image, triangle, colour, cv2.LINE_8, _SHIFT)


def _draw_ball(image: Image, camera: _Camera, ball: Array) -> None:
    """Draw the ball in three shades, the lightest at its upper left."""
    centre, radius = camera.project(ball), camera.focal * BALL_RADIUS / ball[2]
    for share, light in ((1.0, 0.75), (0.75, 0.9), (0.4, 1.1)):
        place = centre - 0.5 * (1 - share) * radius
        x, y, size = (round(float(value) * 2**_SHIFT) for value in (*place, share * radius))
        cv2.circle(image, (x, y), size, [min(255, light * part) for part in _BALL], cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _draw_gaze(image: Image, camera: _Camera, head_pose: Array, length: float) -> None:
    start = _above_table(head_pose[:3, 3] + head_pose[:3, :3] @ CAMERA_IN_HEAD)
    ends = camera.project(camera.see(np.stack([start, start + length * head_pose[:3, 0]])))
    first, last = np.round(ends * 2**_SHIFT).astype(int).tolist()
    cv2.line(image, first, last, _GAZE, 2, cv2.LINE_AA, _SHIFT)
