"""Beat phase and tempo from onset strengths, sample by sample.

A bank of damped oscillators, one per tempo, is driven by the onsets: the loudest has the tempo, and its angle is the
beat's phase (the Fourier tempogram of Grosche & Müller 2011, with a causal exponential window). Twice the tempo drives
its oscillator as well; the autocorrelation has the opposite fault, half the tempo, so their product decides (Peeters
2007). No library with wheels for both architectures tracks beats in a stream.

Try it: .venv/bin/python -m reachy_sim.sensing.hearing_report
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import AUDIO_HZ, Array
from reachy_kit.runtime.perception.hearing.onset import HOP

_RATE = AUDIO_HZ / HOP
_TEMPI: Array = np.asarray(np.geomspace(0.7, 3.5, 240), dtype=np.float64)
"""Hz, 42 to 210 beats per minute."""
_MEMORY = 3.0
"""Time constant of the oscillators, s: some six beats."""
_USUAL_TEMPO, _OCTAVES = 1.9, 1.0
"""Tempo that is likeliest, Hz, and the standard deviation around it, octaves. People tap to music most often near two
beats per second (Moelants 2002)."""
_SAME = 0.05
"""Difference within which two tempi are the same, octaves."""
_STICKINESS = 1.25
"""Advantage of the present tempo over any other."""
_BEGINS, _ENDS = 0.42, 0.3
"""Share of the onsets that fit the beat, at which it begins and ends to count as tracked."""
_BACKGROUND = 0.5
"""Time over which the onsets' mean is subtracted, s."""
_REPEATED = 0.25
"""Least autocorrelation at one beat: below it nothing has come back yet, as after a first stroke or in speech."""
_SETTLED = 1.0
"""Time for which a tempo must fit before it counts, s: syllables repeat themselves too, but not for long."""
_FAINT = 0.004
"""Mean onset strength below which the sound is too faint for a beat."""
ONSET_DELAY = 0.022
"""Time from a drum's attack to the peak of its onset strength, s. Source: hearing_report's beat error, set to zero."""


@dataclass(frozen=True)
class Beat:
    """A tracked beat."""

    phase: float
    """rad; 0 is on the beat."""
    tempo: float
    """Hz."""


class BeatTracker:
    """Beat of a stream of onset strengths."""

    def __init__(self) -> None:
        self._turn = np.exp((2j * np.pi * _TEMPI - 1 / _MEMORY) / _RATE)
        self._decay = float(np.exp(-1 / (_MEMORY * _RATE)))
        self._prior = np.exp(-0.5 * (np.log2(_TEMPI / _USUAL_TEMPO) / _OCTAVES) ** 2)
        lags = _RATE / _TEMPI
        self._lag, self._between = np.floor(lags).astype(np.intp), lags % 1
        self._size = int(self._lag.max()) + 2
        self._past: Array = np.zeros(self._size)
        self._smooth: Array = np.zeros(3)
        self._oscillators: npt.NDArray[np.complex128] = np.zeros(len(_TEMPI), dtype=np.complex128)
        self._correlation: Array = np.zeros(self._size)
        self._sum = self._mean = 0.0
        self._chosen: int | None = None
        self._fitting = 0
        self._tracked = False

    def update(self, strength: float) -> Beat | None:
        """Take the next onset strength, 10 ms after the one before.

        Returns:
            The beat now; None while nothing is tracked.
        """
        self._mean += (strength - self._mean) / (_BACKGROUND * _RATE)
        onset = max(strength - self._mean, 0.0)
        self._oscillators *= self._turn
        self._oscillators += onset
        self._sum = self._decay * self._sum + onset
        self._correlate(onset)
        return self._decide()

    def _correlate(self, onset: float) -> None:
        self._smooth[1:], self._smooth[0] = self._smooth[:-1].copy(), onset
        blurred = 0.25 * self._smooth[0] + 0.5 * self._smooth[1] + 0.25 * self._smooth[2]
        self._past[1:] = self._past[:-1].copy()
        self._past[0] = blurred
        self._correlation *= self._decay
        self._correlation += blurred * self._past

    def _decide(self) -> Beat | None:
        size = np.abs(self._oscillators)
        at_lag = self._correlation[self._lag] * (1 - self._between) + self._correlation[self._lag + 1] * self._between
        score = size * at_lag * self._prior
        if self._chosen is not None:
            near = np.abs(np.log2(_TEMPI / _TEMPI[self._chosen])) < _SAME
            score = np.where(near, _STICKINESS * score, score)
        around = int(np.argmax(score))
        # The product is broad, as the autocorrelation's peak is; the oscillators know the tempo itself.
        low, high = max(around - 12, 1), min(around + 13, len(_TEMPI) - 1)
        best = low + int(np.argmax(size[low:high]))
        fit = float(size[best] / self._sum) if self._sum > 0 else 0.0
        loud = self._sum > _FAINT * _MEMORY * _RATE
        repeated = at_lag[best] > _REPEATED * self._correlation[0]
        same = self._chosen is not None and abs(np.log2(_TEMPI[best] / _TEMPI[self._chosen])) < _SAME
        fits = bool(loud and repeated and fit > (_ENDS if self._tracked else _BEGINS))
        self._fitting = self._fitting + 1 if fits and (same or self._tracked) else 0
        self._tracked = self._fitting > _SETTLED * _RATE
        self._chosen = best
        return self._beat(best, size) if self._tracked else None

    def _beat(self, best: int, size: Array) -> Beat:
        """The beat of an oscillator and its neighbours."""
        before, peak, after = np.log(np.maximum(size[best - 1 : best + 2], 1e-12))
        curve = before - 2 * peak + after
        offset = float(np.clip(0.5 * (before - after) / curve, -1.0, 1.0)) if curve < 0 else 0.0
        tempo = float(_TEMPI[best] * (_TEMPI[1] / _TEMPI[0]) ** offset)
        # An oscillator that is off by δ is ahead by atan(2πδ·memory): the integral of its damped rotation.
        ahead = np.arctan(2 * np.pi * (_TEMPI[best] - tempo) * _MEMORY)
        phase = float(np.angle(self._oscillators[best])) - ahead + 2 * np.pi * tempo * ONSET_DELAY
        return Beat(float(phase % (2 * np.pi)), tempo)
