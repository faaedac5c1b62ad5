"""The choice of one face among several: the largest, then the same one until another is clearly nearer for long."""

import numpy as np

from reachy_kit.runtime.interface import Array

REACH = 1.5
"""Largest way of a face from one frame to the next, in its widths: the head turns too."""
CLEARLY_LARGER = 1.4
"""Ratio of the widths from which another face counts as clearly nearer."""
FRAMES_LARGER = 15
"""Frames in a row for which another face must be clearly nearer before it is chosen: 0.6 s at 25 per second."""
FRAMES_LOST = 15
"""Frames in a row for which the chosen face must be missing before another one is chosen."""


class FaceChoice:
    """Chooses the same face frame after frame.

    The first choice is the largest face, which is the nearest. From then on the face next to the place of the last
    choice is taken, so that two people side by side do not make the head swing to and fro. It changes to another face
    only when that one has been 1.4 times as wide for 15 frames, or when the chosen face has been missing for 15 frames.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the face."""
        self._chosen: Array | None = None
        self._missing = self._larger = 0

    def choose(self, boxes: Array) -> Array | None:
        """The chosen box of this frame.

        Args:
            boxes: (N, 4 or more) left, top, right, bottom, px; …

        Returns:
            (4,) px; None while the chosen face is missing.
        """
        if self._chosen is None or self._missing >= FRAMES_LOST:
            if len(boxes):
                self._take(boxes[np.argmax(_width(boxes))])
                return self._chosen
            return None
        apart = np.hypot(*(_middle(boxes) - _middle(self._chosen)).T)
        near = boxes[apart <= REACH * _width(self._chosen)]
        if not len(near):
            self._missing += 1
            return None
        same = near[np.argmin(np.hypot(*(_middle(near) - _middle(self._chosen)).T))]
        widest = boxes[np.argmax(_width(boxes))]
        self._larger = self._larger + 1 if _width(widest) > CLEARLY_LARGER * _width(same) else 0
        self._take(widest if self._larger >= FRAMES_LARGER else same)
        return self._chosen

    def _take(self, box: Array) -> None:
        self._larger = self._larger if self._larger < FRAMES_LARGER else 0
        self._chosen, self._missing = box[:4].copy(), 0


def _middle(boxes: Array) -> Array:
    return np.asarray((boxes[..., [0, 1]] + boxes[..., [2, 3]]) / 2)


def _width(boxes: Array) -> Array:
    return np.asarray(boxes[..., 2] - boxes[..., 0])
