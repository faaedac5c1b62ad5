"""The nine axes for people: short names, millimetres and degrees."""

from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.interface import ACTION_NAMES, ACTION_UNITS
from reachy_kit.runtime.safety import CLASSROOM


@dataclass(frozen=True)
class Axis:
    """One of the nine axes."""

    name: str
    """Name as in ``ACTION_NAMES``, without ``.pos``."""
    unit: str
    """The unit that people read: mm or °."""
    scale: float
    """Number of that unit per m or rad."""
    low: int
    high: int

    @property
    def label(self) -> str:
        """Label of its slider."""
        return f"{self.name.replace('_', ' ').replace('antenna', 'ant.')} ({self.unit})"


def _axis(name: str, si: str, low: float, high: float) -> Axis:
    unit, scale = ("mm", 1e3) if si == "m" else ("°", float(np.rad2deg(1.0)))
    return Axis(name.removesuffix(".pos"), unit, scale, round(low * scale), round(high * scale))


AXES = tuple(map(_axis, ACTION_NAMES, ACTION_UNITS, CLASSROOM.low, CLASSROOM.high))
"""Axes in the order of ``ACTION_NAMES``, over the whole workspace of the limiter."""
SCALES = np.array([axis.scale for axis in AXES])
