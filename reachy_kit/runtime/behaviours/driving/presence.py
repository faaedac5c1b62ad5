"""Whether what a behaviour follows is there: not for a single frame, and not gone at the first gap."""

from reachy_kit.runtime.interface import Array

SURE_AFTER = 0.06
"""Time for which something must be sensed before it counts, s: longer than one false detection at 30 frames/s."""


class Presence:
    """Presence of what the last two features of a behaviour report: whether it is sensed now, and its age in s.

    Args:
        hz: decisions per second.
        lasts: time after the last sensing for which it still counts as there, s.
    """

    def __init__(self, hz: int, lasts: float) -> None:
        self._hz, self._lasts = hz, lasts
        self.forget()

    def forget(self) -> None:
        """Begin an episode in which nothing was sensed."""
        self._sensed_for, self._absent_for, self._present = 0.0, 0.0, False

    def update(self, features: Array) -> bool:
        """Take the (K,) features of the next decision; whether it is there."""
        if features[-2] > 0:
            self._sensed_for += 1 / self._hz
            self._absent_for = 0.0
            self._present = self._present or self._sensed_for >= SURE_AFTER
        else:
            self._sensed_for = 0.0
            self._absent_for += 1 / self._hz
            self._present = self._present and self._absent_for < self._lasts
        return self._present
