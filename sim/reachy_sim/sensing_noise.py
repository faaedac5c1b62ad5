"""How far the detector's numbers are from geometry: the noise that stands in for it in the simulator.

Try it: MUJOCO_GL=egl .venv/bin/python -m reachy_sim.detector_noise --out runs/detector
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SensingNoise:
    """How far geometry is from what the detector measures."""

    bearing: float = np.deg2rad(0.25)
    """rad, standard deviation on each axis. The detector on rendered frames errs by less (tests/sim/test_twin.py); real
    frames blur."""
    size: float = 0.1
    """Relative standard deviation of the apparent radius."""
    missed: float = 0.02
    """Share of frames in which the detector finds nothing."""
