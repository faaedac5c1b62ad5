"""Direction of arrival from two microphones, by generalized cross-correlation with phase transform (GCC-PHAT).

Source: Knapp & Carter 1976, "The generalized correlation method for estimation of time delay", IEEE TASSP 24(4).
Try it: .venv/bin/python -m reachy_sim.sensing.hearing_report
"""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import AUDIO_HZ, Array
from reachy_kit.runtime.perception.hearing.sound_source import Block

SPEED_OF_SOUND = 343.0
"""m/s, at 20 °C."""
WINDOW = 1024
"""Samples that are correlated at once, 64 ms: about a syllable's vowel."""
_BAND = (300.0, 4000.0)
"""Hz: below it a small array hears no difference, above it speech has little."""
_ANGLES = 121
"""Number of directions that are compared; a parabola through the best three finds the place between them."""
_MEMORY = 0.1
"""Time over which the correlation is averaged, s: DIRECTION_PERIOD."""

_CLEAR = 0.25
"""Share of the correlation that must agree on a direction; noise and echo alone reach 0.2."""


class DirectionFinder:
    """Bearing of the loudest sound.

    Args:
        spacing: between the two microphones, m.
        hop: samples between two calls of ``update``.
    """

    def __init__(self, spacing: float, hop: int) -> None:
        frequencies = np.fft.rfftfreq(WINDOW, 1 / AUDIO_HZ)
        self._bins = np.flatnonzero((frequencies >= _BAND[0]) & (frequencies <= _BAND[1]))
        self._sines: Array = np.asarray(np.linspace(-1.0, 1.0, _ANGLES), dtype=np.float64)
        delays = spacing / SPEED_OF_SOUND * self._sines
        self._steering = np.exp(2j * np.pi * delays[:, None] * frequencies[self._bins])
        self._keep = float(np.exp(-hop / (_MEMORY * AUDIO_HZ)))
        self._taper = np.hanning(WINDOW).astype(np.float32)
        self.forget()

    def forget(self) -> None:
        """Begin a new average: the sound has paused, and the next may come from elsewhere."""
        self._cross: npt.NDArray[np.complex128] = np.zeros(len(self._bins), dtype=np.complex128)

    def update(self, samples: Block) -> float | None:
        """Bearing of the sound in the last window, averaged with those before.

        Args:
            samples: (WINDOW, 2) of the left and the right microphone, at ``AUDIO_HZ``.

        Returns:
            rad in [−π/2, π/2], right of the line that bisects the microphones; None where no direction stands out.
        """
        left, right = np.fft.rfft(samples.T * self._taper)[:, self._bins]
        # A sound from the right reaches the left later by τ: the phase of left · right* is −ωτ at every frequency ω.
        cross = left * right.conj()
        size = np.abs(cross)
        self._cross = self._keep * self._cross + np.where(size > 1e-12, cross / np.maximum(size, 1e-12), 0.0)
        score = (self._steering @ self._cross).real
        if score.max() < _CLEAR * np.abs(self._cross).sum():
            return None
        best = int(np.clip(np.argmax(score), 1, _ANGLES - 2))
        before, peak, after = score[best - 1 : best + 2]
        curve = before - 2 * peak + after
        offset = 0.5 * (before - after) / curve if curve < 0 else 0.0
        sine = self._sines[best] + float(np.clip(offset, -1.0, 1.0)) * (self._sines[1] - self._sines[0])
        return float(np.arcsin(np.clip(sine, -1.0, 1.0)))
