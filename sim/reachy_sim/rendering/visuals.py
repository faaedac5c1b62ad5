"""Appearance of the world to the head camera: values for each environment, and named ranges to draw them from.

A policy that learned from pixels is trained on TRAINING_VISUALS and evaluated on VISUAL_RANGES. Nothing here moves
the ball or the robot: only their appearance changes.

Try it: .venv/bin/python -m reachy_sim.rendering.visuals_gallery --out runs/visuals.png
"""

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import Array
from reachy_sim.dynamics.model import BALL_RGBA

CLUTTER = 6
"""Number of things that can stand on the table: boxes and balls in turn."""


@dataclass(frozen=True)
class Visuals:
    """Appearance of the world; every field as given here, or with an axis of N environments in front.

    The defaults are the world that training and the detector know. Colours are 0–1.
    """

    ball: ArrayLike = BALL_RGBA[:3]
    """(3,) colour of the ball: red, green, blue."""
    brightness: ArrayLike = 1.0
    """() multiple of training's light, the lamp's and the ambient one. The pale room has a light of its own."""
    lamp: ArrayLike = (0.3, 0.5, 1.823)
    """(3,) m, position of the lamp, base frame. It points at the table half a metre in front of the robot."""
    table: ArrayLike = (1.0, 1.0, 1.0)
    """(3,) tint of the table: multiplies the table's brown checks."""
    checks: ArrayLike = 8.0
    """() number of the table's checks per metre."""
    wall: ArrayLike = (0.0, 0.0, 0.0, 0.0)
    """(4,) red, green, blue of the walls and the ceiling, and 1; with 0 there are no walls, and the room is pale."""
    clutter: ArrayLike = ((0.0,) * 6,) * CLUTTER
    """(CLUTTER, 6) for each thing: x, y in m, base frame; half its size in m, 0 = not there; red, green, blue."""
    camera_turn: ArrayLike = (0.0, 0.0, 0.0)
    """(3,) rad, rotation vector of the camera in its own frame (x right, y down, z forward)."""
    camera_shift: ArrayLike = (0.0, 0.0, 0.0)
    """(3,) m, shift of the camera in the same frame."""
    view: ArrayLike = 1.0
    """() vertical field of view in multiples of training's."""

    def rows(self, count: int) -> dict[str, Array]:
        """Every field by name with an axis of ``count`` environments in front.

        Raises:
            WrongUseError: a field has another shape.
        """
        return {name: self._rows(name, count) for name in SHAPES}

    def _rows(self, name: str, count: int) -> Array:
        values, shape = np.asarray(getattr(self, name), dtype=np.float64), SHAPES[name]
        if values.shape not in (shape, (count, *shape)):
            raise WrongUseError(f"visuals: {name} has the shape {values.shape}; {shape} or {(count, *shape)} is wanted")
        return np.broadcast_to(values, (count, *shape))


NOMINAL = Visuals()
SHAPES: dict[str, tuple[int, ...]] = {field.name: np.shape(getattr(NOMINAL, field.name)) for field in fields(Visuals)}
"""Shape of one environment's value, by field."""
DRAWS = sum(math.prod(shape) for shape in SHAPES.values())
"""Uniform numbers that one environment's visuals take: one for each value, also for those that a range holds still, so
that an environment's clutter does not change when its ball does."""


@dataclass(frozen=True)
class VisualRange:
    """Visuals between two others, each number on its own."""

    low: Visuals = NOMINAL
    high: Visuals = NOMINAL

    def draw(self, uniform: Array) -> Visuals:
        """Visuals for N environments.

        Args:
            uniform: (N, DRAWS) in [0, 1), from the caller's own generator.
        """
        low, high = self.low.rows(1), self.high.rows(1)
        drawn, start = {}, 0
        for name, shape in SHAPES.items():
            end = start + math.prod(shape)
            share = uniform[:, start:end].reshape(len(uniform), *shape)
            drawn[name] = low[name] + share * (high[name] - low[name])
            start = end
        return Visuals(**drawn)


def _between(**ends: tuple[ArrayLike, ArrayLike]) -> VisualRange:
    low, high = ({name: pair[end] for name, pair in ends.items()} for end in (0, 1))
    return VisualRange(Visuals(**low), Visuals(**high))


_PLACES = np.stack([np.full(CLUTTER, 1.9), np.linspace(-1.6, 1.6, CLUTTER)], axis=-1)
"""(CLUTTER, 2) m: behind every ball of the tasks, which come no farther than 1.3 m."""
_NEAR = np.hstack([_PLACES - np.array([0.2, 0.25]), np.tile([0.08, 0.3, 0.0, 0.0], (CLUTTER, 1))])
_FAR = np.hstack([_PLACES + np.array([0.6, 0.25]), np.tile([0.28, 1.0, 0.3, 1.0], (CLUTTER, 1))])
"""Red is never less than green, here and in the walls and the table: nothing else has the ball's colour."""

TRAINING_VISUALS = VisualRange()
"""Visuals of training."""
VISUAL_RANGES: dict[str, VisualRange] = {
    "other_colour": _between(ball=([0.85, 0.30, 0.02], [1.0, 0.45, 0.12])),
    "dim_light": _between(
        brightness=(0.3, 0.5),
        lamp=([-0.5, -1.5, 1.0], [1.0, 1.5, 2.0]),
        wall=([0.8, 0.78, 0.74, 1.0], [0.9, 0.88, 0.84, 1.0]),
    ),
    "busy_background": _between(
        table=([0.7, 0.4, 0.4], [1.2, 0.75, 1.6]),
        checks=(2.0, 6.0),
        wall=([0.5, 0.3, 0.3, 1.0], [0.9, 0.5, 0.9, 1.0]),
        clutter=(_NEAR, _FAR),
    ),
    "tilted_camera": _between(
        camera_turn=(-np.deg2rad([4.0, 4.0, 6.0]), np.deg2rad([4.0, 4.0, 6.0])),
        camera_shift=([-0.005] * 3, [0.005] * 3),
    ),
}
"""By name: an orange ball; a dim room with the lamp elsewhere; coloured walls, other checks and things on the table; a
camera that was not mounted straight. Chosen by us, not measured: the size of each is what a classroom may hold."""
