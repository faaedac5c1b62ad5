"""ball: a coloured ball, the largest round patch of one colour in the image, by OpenCV.

Works the same on the robot's camera and on the simulated one. It uses colour and roundness alone: any other round thing
of that colour counts as a ball.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import Array, Image
from reachy_kit.runtime.perception.camera import SIM_CAMERA, PinholeCamera
from reachy_kit.runtime.perception.targets.camera_perception import open_camera_perception
from reachy_kit.runtime.perception.targets.target_kind import TargetKind


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
    """Detector of a coloured ball.

    Args:
        colour: of the ball.
    """

    width = SIM_CAMERA.width

    def __init__(self, colour: BallColour | None = None) -> None:
        self._colour = colour or BallColour()

    def reset(self) -> None:
        """Do nothing: each frame is looked at on its own."""

    def detect(self, image: Image) -> Array | None:
        """(3,) rad, right, below and apparent radius, of the largest ball."""
        ball = find_ball(image, self._colour)
        if ball is None:
            return None
        camera = PinholeCamera(image.shape[1], image.shape[0])
        return np.array(
            [*camera.bearing(ball.column, ball.row), camera.angular_radius(ball.column, ball.row, ball.area)]
        )


def _open_detector(argument: str) -> BallDetector:
    if argument:
        raise WrongUseError(f"--target ball:{argument}: the ball takes no argument")
    return BallDetector()


TARGET = TargetKind(open_camera_perception(_open_detector), _open_detector)
