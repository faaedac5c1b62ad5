"""Cues: short synthesised tones that say what the robot does, for people who do not look at a screen."""

import io
import wave
from enum import StrEnum

import numpy as np
import numpy.typing as npt

RATE = 16_000
"""Samples per second. Source: the robot's sound card (reachy_mini.media.audio_base)."""
_LOUDNESS = 0.2
"""Amplitude, in parts of full scale."""
_FADE = 0.01
"""Time over which a note begins and ends, s; a hard edge would click."""


class Cue(StrEnum):
    """What a tone says."""

    BEGIN = "begin"
    """Something begins: a recording, a run. Two notes, the second one higher."""
    END = "end"
    """It has ended. Two notes, the second one lower."""
    NOTICE = "notice"
    """A behaviour has begun to drive. One short note."""


_NOTES: dict[Cue, tuple[tuple[float, float], ...]] = {
    Cue.BEGIN: ((523.25, 0.09), (783.99, 0.13)),
    Cue.END: ((783.99, 0.09), (523.25, 0.13)),
    Cue.NOTICE: ((659.26, 0.08),),
}
"""Frequency, Hz, and length, s, of each note: C5, G5, E5."""


def synthesize(cue: Cue, rate: int = RATE) -> npt.NDArray[np.float32]:
    """(samples,) in [-1, 1] of a cue."""
    return np.concatenate([_note(frequency, seconds, rate) for frequency, seconds in _NOTES[cue]])


def as_wave(cue: Cue) -> bytes:
    """A cue as a WAV file, 16 bits, mono."""
    samples = np.round(synthesize(cue) * (2**15 - 1)).astype("<i2")
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return written.getvalue()


def _note(frequency: float, seconds: float, rate: int) -> npt.NDArray[np.float32]:
    times = np.arange(round(seconds * rate)) / rate
    envelope = np.clip(np.minimum(times, seconds - times) / _FADE, 0.0, 1.0)
    return np.asarray(_LOUDNESS * envelope * np.sin(2 * np.pi * frequency * times), dtype=np.float32)
