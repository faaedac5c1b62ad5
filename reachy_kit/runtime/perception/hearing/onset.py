"""Onset strength: how much louder the bands of the sound became within the last 20 ms.

Low bands weigh most, because drums that carry the beat are low.
"""

from collections import deque

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import AUDIO_HZ, Array

HOP = 160
"""Samples between two strengths, 10 ms."""
_WINDOW = 512
_EDGES: Array = np.asarray(np.geomspace(40.0, 7500.0, 21), dtype=np.float64)
"""Edges of the bands, Hz."""
_LOW, _HIGH_WEIGHT = 200.0, 0.1
"""Below this frequency, Hz, a band weighs 1; the highest weighs the second number."""
_COMPRESSION = 100.0
"""Amplitude in parts of full scale at which loudness turns from linear to logarithmic: 1/100, −40 dB."""
_LAG = 2
"""Hops between the spectra that are compared."""
_LOUD_DRUM = 2.0
"""Strength of a drum near full scale, before it is scaled to 1. Source: hearing_report's drum, in its peaks."""


class OnsetDetector:
    """Onset strength, hop by hop."""

    def __init__(self) -> None:
        frequencies = np.fft.rfftfreq(_WINDOW, 1 / AUDIO_HZ)
        taper = np.hanning(_WINDOW)
        self._taper = (taper / (0.5 * taper.sum())).astype(np.float32)
        member = (frequencies >= _EDGES[:-1, None]) & (frequencies < _EDGES[1:, None])
        middle = np.sqrt(_EDGES[:-1] * _EDGES[1:])
        for band in np.flatnonzero(~member.any(axis=1)):  # a low band may be narrower than the spectrum's lines
            member[band, np.argmin(np.abs(frequencies - middle[band]))] = True
        self._bands = member / member.sum(axis=1, keepdims=True)
        steep = np.log(_HIGH_WEIGHT) / np.log(_EDGES[-1] / _LOW)
        weights = np.minimum((middle / _LOW) ** steep, 1.0)
        self._weights = weights / weights.sum()
        self._samples = np.zeros(_WINDOW, dtype=np.float32)
        self._past: deque[Array] = deque([np.zeros(len(weights))] * _LAG, maxlen=_LAG)

    def update(self, hop: npt.NDArray[np.float32]) -> float:
        """Onset strength after the next (160,) samples, in multiples of a loud drum's."""
        self._samples[:-HOP] = self._samples[HOP:]
        self._samples[-HOP:] = hop
        amplitudes = np.abs(np.fft.rfft(self._samples * self._taper))
        loudness = np.log1p(_COMPRESSION * (self._bands @ amplitudes))
        rise = float(self._weights @ np.maximum(loudness - self._past[0], 0.0))
        self._past.append(loudness)
        return rise / _LOUD_DRUM
