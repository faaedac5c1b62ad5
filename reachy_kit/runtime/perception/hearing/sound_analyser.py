"""Analysis of a microphone's stream: what is heard, as of its last sample. Pure, so that files take the same path.

Try it: .venv/bin/python -m reachy_sim.sensing.hearing_report
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import AUDIO_HZ
from reachy_kit.runtime.perception.hearing.beat import Beat, BeatTracker
from reachy_kit.runtime.perception.hearing.direction import WINDOW, DirectionFinder
from reachy_kit.runtime.perception.hearing.onset import HOP, OnsetDetector
from reachy_kit.runtime.perception.hearing.sound_source import Bearing, Block
from reachy_kit.runtime.perception.hearing.voice import CHUNK, VoiceDetector

LOUD = 0.05
"""Root mean square, in parts of full scale, that counts as loudness 1: −26 dB, the usual level of speech into a near
microphone (ITU-T P.56). In the simulator a person 0.6 m away has that loudness."""
_LEVEL_MEMORY = 0.1
"""Time over which the level is averaged, s."""
_DIRECTION_HOPS = 2
"""Hops between two directions: 20 ms."""


@dataclass(frozen=True)
class Heard:
    """What is heard at one instant."""

    time: float
    """Time of the last sample, s on the monotonic clock."""
    level: float
    """Loudness in [0, 1]."""
    voice: float
    """Probability that somebody speaks."""
    speaking: bool
    """Whether somebody speaks."""
    onset: float
    """Strongest onset since the moment before, in [0, 1]."""
    beat: Beat | None
    """None while nothing is tracked."""
    bearing: Bearing | None
    """The last direction of speech; None before the first, or with one microphone."""


class SoundAnalyser:
    """Features of a stream at ``AUDIO_HZ``.

    Args:
        channels: of the stream; it is analysed as their mean.
        spacing: between the first two channels' microphones, m; None where they give no direction.
    """

    def __init__(self, channels: int, spacing: float | None) -> None:
        self._onsets, self._beats, self._voice = OnsetDetector(), BeatTracker(), VoiceDetector()
        self._directions = DirectionFinder(spacing, _DIRECTION_HOPS * HOP) if spacing and channels > 1 else None
        self._samples: Block = np.zeros((WINDOW, channels), dtype=np.float32)
        self._waiting: Block = np.zeros((0, channels), dtype=np.float32)
        self._chunk: npt.NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        self._power = 0.0
        self._hops = 0
        self._bearing: Bearing | None = None
        self._beat: Beat | None = None
        self._onset = 0.0

    def update(self, samples: Block, captured: float) -> Heard:
        """Take (n, channels) samples, the last of which was captured at ``captured``; what is heard then."""
        waiting = np.concatenate([self._waiting, samples])
        whole = len(waiting) - len(waiting) % HOP
        self._onset = 0.0
        for start in range(0, whole, HOP):
            self._hop(waiting[start : start + HOP], captured - (len(waiting) - start - HOP) / AUDIO_HZ)
        self._waiting = waiting[whole:]
        time = captured - len(self._waiting) / AUDIO_HZ
        level = min(float(np.sqrt(self._power)) / LOUD, 1.0)
        return Heard(time, level, self._voice.probability, self._voice.speaking, self._onset, self._beat, self._bearing)

    def _hop(self, hop: Block, captured: float) -> None:
        mono = hop.mean(axis=1)
        self._hops += 1
        self._power += (float(mono @ mono) / HOP - self._power) * HOP / (_LEVEL_MEMORY * AUDIO_HZ)
        strength = self._onsets.update(mono)
        self._onset = max(self._onset, min(strength, 1.0))
        self._beat = self._beats.update(strength)
        self._chunk = np.concatenate([self._chunk, mono])
        if len(self._chunk) >= CHUNK:
            self._voice.update(self._chunk[:CHUNK])
            self._chunk = self._chunk[CHUNK:]
        if self._directions:
            self._samples[:-HOP] = self._samples[HOP:]
            self._samples[-HOP:] = hop
            if self._hops % _DIRECTION_HOPS == 0:
                self._find_direction(captured)

    def _find_direction(self, captured: float) -> None:
        assert self._directions is not None
        if not self._voice.speaking:
            self._directions.forget()
            return
        right = self._directions.update(self._samples[:, :2])
        if right is not None:
            self._bearing = Bearing(right, captured)
