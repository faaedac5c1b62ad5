"""The robot's camera as a pinhole: pixels ↔ bearings; and when it counts as stopped.

Lens distortion is left out: over the middle of the image, where a target is held, it stays below the detector's noise.
"""

from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.interface import Array

FOCAL_OVER_WIDTH = 2001.81 / 3840
"""Focal length in image widths. Source: the IMX708's calibration in reachy_mini.media.camera_constants (1.12),
fx = 2001.81 px at 3840 × 2592; the pixels are square to 0.1 %."""

CAMERA_SILENT_AFTER = 0.45
"""Time without a frame after which a camera counts as stopped, s: more than four frames of the 10 per second that the
daemon of reachy_mini 1.13 sends to programs on its own computer (``IPC_FPS``). The control loop looks at every tick,
and so reports it within half a second."""


@dataclass(frozen=True)
class PinholeCamera:
    """A camera without distortion whose optical axis meets the middle of the image."""

    width: int
    """Width of the image, px."""
    height: int
    """Height of the image, px."""

    @property
    def focal(self) -> float:
        """Focal length, px."""
        return FOCAL_OVER_WIDTH * self.width

    @property
    def vertical_field_of_view(self) -> float:
        """Vertical field of view, rad."""
        return 2 * float(np.arctan2(self.height / 2, self.focal))

    def bearing(self, column: float, row: float) -> Array:
        """Bearing of a point in the image: (2,) rad, right of and below the optical axis."""
        x = (column - (self.width - 1) / 2) / self.focal
        y = (row - (self.height - 1) / 2) / self.focal
        return np.array([np.arctan(x), np.arctan2(y, np.hypot(1.0, x))])

    def angular_radius(self, column: float, row: float, area: float) -> float:
        """Apparent radius, rad, of a ball whose image covers ``area`` px² around a point.

        Off the axis a flat image is stretched: a patch's solid angle is its area times cos³ of the angle.
        """
        x = (column - (self.width - 1) / 2) / self.focal
        y = (row - (self.height - 1) / 2) / self.focal
        solid_angle = area / self.focal**2 * (1 + x * x + y * y) ** -1.5
        return float(np.arccos(1 - min(solid_angle, 2 * np.pi) / (2 * np.pi)))

    def sees(self, in_camera: Array) -> bool:
        """Whether a (3,) point in the camera frame falls into the image."""
        x, y, z = in_camera
        return bool(z > 0 and abs(x) * self.focal <= z * self.width / 2 and abs(y) * self.focal <= z * self.height / 2)


SIM_CAMERA = PinholeCamera(width=320, height=180)
"""The simulated head camera: the robot's 16:9 stream at a quarter of 1280 × 720, where a ball at 1 m is 6 px wide
in radius."""
ENV_CAMERA = PinholeCamera(width=96, height=96)
"""The camera of image observations: a square of ±43.8°, as wide as the robot's view. The robot's 16:9 stream
fills its middle rows; 21 above and 21 below have no counterpart there."""
