"""Sensing noise: deviations of the simulated senses from geometry, like those of the ball detector.

Each default is a value fitted to the detector on rendered frames plus an allowance for what those frames lack: motion
blur, sensor noise, lens distortion, uneven light. The fit is measured. The allowances are set by hand, because the
robot's camera has not been available; a recording of a ball at known places would replace them.

Try it: .venv/bin/python -m reachy_sim.sensing.detector_report --out runs/detector
"""

from dataclasses import dataclass

import numpy as np

FITTED_BEARING = 0.11
"""Standard deviation on the worse axis, degrees: right; 0.05° below. Nearly all of it comes from the image of a near
ball off the axis, an ellipse whose centre is not the ball's (size² · tan of the bearing); without it 0.02° remain on
both axes.
Source: 4,000 frames of 320 × 180, seed 0, balls at 0.3–3 m all over the frame; sim/images/detector.png."""
BEARING_ALLOWANCE = 0.14
"""Allowance, not measured, degrees: four tenths of a pixel of the simulated camera."""
FITTED_SIZE = 0.012
"""Relative standard deviation; 0.023 at 0.8° of apparent radius, 0.003 at 5°. Source: the same frames."""
SIZE_ALLOWANCE = 0.088
"""Allowance, not measured: shade and glare hide the rim of a real ball, here 9 % of its radius."""
FITTED_MISSED = 0.0
"""Share of whole balls that are missed; at most 0.0016 with 95 % confidence. Source: the same frames."""
MISSED_ALLOWANCE = 0.02
"""Allowance, not measured: one frame in fifty is lost to blur or in the stream."""


@dataclass(frozen=True)
class SensingNoise:
    """Differences between geometry and the detector's measurements: the fitted value plus the allowance.

    It does not model a ball that the frame's edge cuts off. The detector loses such a ball where its centre leaves the
    frame, as geometry does; before that it places it up to 0.4 apparent radii too near the middle, up to 30 % too
    small.
    """

    bearing: float = float(np.deg2rad(FITTED_BEARING + BEARING_ALLOWANCE))
    """Standard deviation on each axis, rad: 0.25°."""
    size: float = FITTED_SIZE + SIZE_ALLOWANCE
    """Relative standard deviation of the apparent radius: 0.1."""
    missed: float = FITTED_MISSED + MISSED_ALLOWANCE
    """Share of frames in which the detector finds nothing."""
