"""A film of several policies side by side in the same episode: images of each, and its error so far.

Matplotlib draws the page once; a frame is a copy of it with the images, the curves up to now and the present errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text as FigureText

from reachy_kit.runtime.interface import Array, Image, TaskError

_DPI = 100
_MARGIN, _HEADING, _LABELS, _PLOT, _AXIS, _FOOT = 12, 46, 44, 104, 24, 32
"""Margin and gap between columns; height of heading, labels, plots, time axis and remark, px."""
_GOOD, _BAD, _GREY = "#1a7f37", "#b35900", "#666666"
"""Colours of an error within the tolerance, of a larger one, and of remarks."""
_SHOWN = 2.5
"""Largest error on the axis, in tolerances; larger ones run along its upper edge."""


@dataclass(frozen=True)
class FilmColumn:
    """One of the policies that are shown."""

    label: str
    remark: str
    """Remark behind the label, such as the success rate."""
    errors: Array
    """(frames,) error in each frame, in the unit that people read."""
    held: Array
    """(frames,) s within the tolerance until each frame."""


class SideBySideFilm:
    """Composes the frames of a film, (height, width, 3) uint8 with an even height and width.

    Args:
        heading: one line above everything.
        columns: the policies, from left to right, with equally many frames.
        shape: (height, width, 3) of the image of each policy, px, even.
        error: name and unit of the task's error.
        tolerance: largest error that counts as success, in the unit that people read.
        fps: frames per second.
        remark: one line below everything.
    """

    def __init__(
        self,
        heading: str,
        columns: Sequence[FilmColumn],
        shape: tuple[int, int, int],
        error: TaskError,
        tolerance: float,
        fps: float,
        remark: str,
    ) -> None:
        self._columns, self._shape, self._error, self._tolerance = columns, shape, error, tolerance
        self._seconds = np.arange(1, len(columns[0].errors) + 1) / fps
        self._top = _MARGIN + _HEADING + _LABELS
        self._left = [_MARGIN + index * (shape[1] + _MARGIN) for index in range(len(columns))]
        self._width = self._left[-1] + shape[1] + _MARGIN
        self._height = self._top + shape[0] + _MARGIN + _PLOT + _AXIS + _FOOT
        self._figure = Figure(figsize=(self._width / _DPI, self._height / _DPI), dpi=_DPI)
        self._canvas = FigureCanvasAgg(self._figure)
        self._text(heading, _MARGIN, _MARGIN + 0.45 * _HEADING, size=15, weight="bold")
        self._text(remark, _MARGIN, self._height - 0.5 * _FOOT, size=10, color=_GREY)
        self._moving = [self._draw_column(index) for index in range(len(columns))]
        self._canvas.draw()
        self._page = self._canvas.copy_from_bbox(self._figure.bbox)

    def frame(self, index: int, images: Sequence[Image]) -> Image:
        """Compose one frame.

        Args:
            index: of the frame, from 0.
            images: one for each policy, of the given shape.
        """
        self._canvas.restore_region(self._page)
        now = slice(0, index + 1)
        for column, (axes, curve, dot, number, held) in zip(self._columns, self._moving, strict=True):
            shown = np.minimum(column.errors, 0.98 * _SHOWN * self._tolerance)
            curve.set_data(self._seconds[now], shown[now])
            dot.set_data(self._seconds[index : index + 1], shown[index : index + 1])
            number.set_text(f"{column.errors[index]:.1f}{self._error.symbol}")
            number.set_color(_GOOD if column.errors[index] <= self._tolerance else _BAD)
            held.set_text(f"within {self._tolerance:.0f}{self._error.symbol} for {column.held[index]:.1f} s")
            for artist in (curve, dot, number, held):
                axes.draw_artist(artist)
        frame = np.asarray(self._canvas.buffer_rgba())[: self._height, : self._width, :3].copy()
        for left, image in zip(self._left, images, strict=True):
            frame[self._top : self._top + self._shape[0], left : left + self._shape[1]] = image
        return frame

    def _draw_column(self, index: int) -> tuple[Axes, Line2D, Line2D, FigureText, FigureText]:
        """Draw what stands still in a column; returns the plot and what moves in it: curve, dot and two texts."""
        column, left, width = self._columns[index], self._left[index], self._shape[1]
        colour = f"C{index}"
        self._text(column.label, left, self._top - 0.5 * _LABELS, size=15, weight="bold", color=colour)
        self._text(column.remark, left + width, self._top - 0.5 * _LABELS, size=12, color=_GREY, ha="right")
        bottom = (_AXIS + _FOOT) / self._height
        axes = self._figure.add_axes((left / self._width, bottom, width / self._width, _PLOT / self._height))
        axes.set(xlim=(0, 1.02 * self._seconds[-1]), ylim=(0, _SHOWN * self._tolerance), yticks=[])
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(labelsize=9, colors=_GREY)
        axes.axhspan(0, self._tolerance, color=_GOOD, alpha=0.12, linewidth=0)
        axes.set_xticks(ticks := np.arange(1, self._seconds[-1] - 0.1), [f"{tick:.0f} s" for tick in ticks])
        (curve,) = axes.plot([], [], color=colour, linewidth=2, animated=True)
        (dot,) = axes.plot([], [], "o", color=colour, markersize=7, animated=True, clip_on=False)
        number = axes.text(
            0.98, 0.99, "", transform=axes.transAxes, size=17, weight="bold", ha="right", va="top", animated=True
        )
        held = axes.text(
            0.74, 0.93, "", transform=axes.transAxes, size=10, color=_GREY, ha="right", va="top", animated=True
        )
        return axes, curve, dot, number, held

    def _text(self, text: str, x: float, y: float, **style: Any) -> None:
        self._figure.text(x / self._width, 1 - y / self._height, text, va="center", **style)
