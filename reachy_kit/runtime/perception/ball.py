"""Detect a coloured ball: the largest round patch of one colour in the image, by OpenCV.

Works the same on the robot's camera and on the simulated one. It uses colour and roundness alone: any other round thing
of that colour counts as a ball.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from reachy_kit.runtime.interface import CAMERA, Array, Image, Observation
from reachy_kit.runtime.perception.camera import PinholeCamera
from reachy_kit.runtime.perception.target import TARGET_FEATURES, TargetMemory


@dataclass(frozen=True)
class BallColour:
    """A band of hue, in OpenCV's units."""

    hue: int = 62
    """Middle of the band, 0–179, two degrees each; 62 is a grass green, far from skin, wood and most walls."""
    hue_tolerance: int = 16
    """Half the width of the band, in the same unit."""
    min_saturation: int = 90
    """Least saturation, 0–255; below it a patch counts as grey."""
    min_value: int = 40
    """Least brightness, 0–255; below it a patch counts as black."""


MIN_AREA = 8
"""Area of the smallest patch, px²; smaller ones are noise."""
MIN_ROUNDNESS = 0.55
"""Share of its enclosing circle that a patch must fill. Lower than a disc's 1 because a ball at the edge is cut off."""


@dataclass(frozen=True)
class Ball:
    """A ball in an image."""

    column: float
    """Column of its centre, px."""
    row: float
    """Row of its centre, px."""
    area: float
    """Area of its image, px²."""


def find_ball(image: Image, colour: BallColour) -> Ball | None:
    """The largest round patch of a colour, or None where there is none.

    Args:
        image: (H, W, 3) RGB.
        colour: of the ball.
    """
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    shifted = (np.arange(256) - colour.hue + 90) % 180  # the band in the middle: red lies at both ends of the scale
    hsv[..., 0] = shifted.astype(np.uint8)[hsv[..., 0]]
    low = np.array([90 - colour.hue_tolerance, colour.min_saturation, colour.min_value])
    high = np.array([90 + colour.hue_tolerance, 255, 255])
    mask = cv2.inRange(hsv, low, high)
    count, labels, stats, centres = cv2.connectedComponentsWithStats(mask)
    for patch in sorted(range(1, count), key=lambda patch: stats[patch, cv2.CC_STAT_AREA], reverse=True):
        left, top, width, height, area = stats[patch].tolist()
        if area < MIN_AREA:
            return None
        inside = labels[top : top + height, left : left + width] == patch  # a lawn has a thousand patches
        _, radius = cv2.minEnclosingCircle(cv2.findNonZero(inside.astype(np.uint8)))
        if area >= MIN_ROUNDNESS * np.pi * (radius + 0.5) ** 2:  # the circle passes through the pixels' middles
            column, row = centres[patch]
            return Ball(float(column), float(row), float(area))
    return None


class BallDetector:
    """Perception from the camera: ``TARGET_FEATURES`` of a coloured ball.

    Args:
        colour: of the ball.
    """

    names = TARGET_FEATURES

    def __init__(self, colour: BallColour | None = None) -> None:
        self._colour = colour or BallColour()
        self._memory = TargetMemory()

    def reset(self, seed: int) -> None:
        """Forget the ball of the episode before."""
        self._memory.reset()

    def perceive(self, observation: Observation) -> Array:
        """(5,) features of the latest frame; without a frame the last sighting grows old."""
        image = observation.images.get(CAMERA)
        if image is None:
            return self._memory.update(None, observation.capture_time, observation.capture_time)
        captured = observation.image_times.get(CAMERA, observation.capture_time)
        return self._memory.update(self._sighting(image), captured, observation.capture_time)

    def _sighting(self, image: Image) -> Array | None:
        ball = find_ball(image, self._colour)
        if ball is None:
            return None
        camera = PinholeCamera(image.shape[1], image.shape[0])
        return np.array(
            [*camera.bearing(ball.column, ball.row), camera.angular_radius(ball.column, ball.row, ball.area)]
        )
