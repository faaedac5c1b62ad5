"""Speeds at which the limiter lets a motion pass unchanged.

The limiter takes every target for a place to stop at: a target farther away than one tick of braking is approached more
slowly than it was asked for. Below these speeds it has nothing to change.
"""

import numpy as np

from reachy_kit.runtime.interface import CONTROL_HZ, Array
from reachy_kit.runtime.safety import CLASSROOM, LimitsProfile


def free_speed(profile: LimitsProfile = CLASSROOM) -> Array:
    """(9,) per s: 0.6 rad/s for the head, 0.4 for the body, 1.6 for the antennas, 0.03 m/s in the classroom profile."""
    return np.asarray(np.minimum(profile.speed, profile.acceleration / CONTROL_HZ))
