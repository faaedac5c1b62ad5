"""Sounds with known truth: beats of a known tempo, and speech of espeak-ng from a known direction, in a room.

Try it: .venv/bin/python -m reachy_sim.sensing.hearing_report
"""

import io
import shutil
import subprocess
import wave

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve, resample_poly

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import AUDIO_HZ, Array
from reachy_kit.runtime.perception.hearing.direction import SPEED_OF_SOUND
from reachy_kit.runtime.perception.hearing.sound_analyser import LOUD

type Mono = npt.NDArray[np.float32]

SENTENCES = (
    "Hello robot, can you hear me?",
    "Look over here, please.",
    "I am standing on your other side now.",
    "What a beautiful morning it is.",
    "Turn around and show me your antennas.",
    "One, two, three, four, five, six.",
)
PATTERNS = ("house", "rock")
VOICES = ("en-us", "en-gb+f3", "en-us+m3", "en-gb+f4")


def drums(
    tempo: float, seconds: float, rng: np.random.Generator, *, first: float = 0.3, pattern: str = "house"
) -> tuple[Mono, Array]:
    """A drum kit: a snare on every second beat and a hi-hat on each half; the bass drum depends on the pattern.

    Args:
        tempo: Hz.
        seconds: length.
        rng: of the noise in snare and hi-hat.
        first: time of the first beat, s.
        pattern: ``house``: a bass drum on each beat; ``rock``: on those without a snare.

    Returns:
        (samples,) at ``AUDIO_HZ``, and the (beats,) times of the beats, s.
    """
    sound: Array = np.zeros(round(seconds * AUDIO_HZ))
    beats = [first + count / tempo for count in range(int((seconds - first) * tempo) + 1)]
    time = np.arange(round(0.2 * AUDIO_HZ)) / AUDIO_HZ
    bass = 0.5 * np.sin(2 * np.pi * (50 * time + 60 * 0.04 * (1 - np.exp(-time / 0.04)))) * np.exp(-time / 0.08)
    for count, beat in enumerate(beats):
        if pattern == "house" or not count % 2:
            _add(sound, bass, beat)
        if count % 2:
            _add(sound, 0.2 * rng.normal(size=len(time)) * np.exp(-time / 0.05), beat)
        for half in (beat, beat + 0.5 / tempo):
            _add(sound, 0.06 * rng.normal(size=len(time)) * np.exp(-time / 0.015), half)
    return np.clip(sound, -1.0, 1.0).astype(np.float32), np.array(beats)


def speech(sentence: int) -> Mono:
    """A sentence of espeak-ng at the loudness of a near person, (samples,) at ``AUDIO_HZ``.

    Raises:
        KitError: espeak-ng is not installed.
    """
    if shutil.which("espeak-ng") is None:
        raise KitError("espeak-ng, which speaks the test sentences, is not installed: apt-get install espeak-ng")
    text, voice = SENTENCES[sentence % len(SENTENCES)], VOICES[sentence // len(SENTENCES) % len(VOICES)]
    spoken = subprocess.run(["espeak-ng", "-v", voice, "--stdout", text], check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(spoken)) as file:
        rate, data = file.getframerate(), file.readframes(2**30)
    mono = np.frombuffer(data, dtype="<i2") / 2**15
    mono = resample_poly(mono, AUDIO_HZ, rate)
    loud = mono[np.abs(mono) > 0.01]
    return np.asarray(mono * LOUD / np.sqrt(np.mean(loud**2)), dtype=np.float32)


def from_direction(sound: Mono, right: float, spacing: float) -> npt.NDArray[np.float32]:
    """What two microphones hear of a distant sound, (samples, 2): left and right.

    Args:
        sound: (samples,).
        right: direction, rad right of ahead.
        spacing: between the microphones, m.
    """
    delay = spacing / SPEED_OF_SOUND * np.sin(right) / 2
    return np.stack([_delayed(sound, delay), _delayed(sound, -delay)], axis=-1).astype(np.float32)


def in_a_room(
    sound: npt.NDArray[np.float32], rng: np.random.Generator, reverberation: float = 0.3, snr: float = 20.0
) -> npt.NDArray[np.float32]:
    """The same sound with a room's diffuse echo and noise, independent in each channel.

    Args:
        sound: (samples, channels).
        rng: of echo and noise.
        reverberation: time in which the echo falls by 60 dB, s.
        snr: of the loudness ``LOUD`` over the noise, dB.

    Returns:
        (samples, channels).
    """
    time = np.arange(round(reverberation * AUDIO_HZ)) / AUDIO_HZ
    envelope = np.where(time > 0.003, 10 ** (-3 * time / reverberation), 0.0)
    heard = np.empty_like(sound)
    for channel in range(sound.shape[1]):
        echo = envelope * rng.normal(size=len(time))
        echo *= 0.5 / np.sqrt(np.sum(echo**2))  # a quarter of the direct sound's power: within arm's reach and two
        noise = LOUD * 10 ** (-snr / 20) * rng.normal(size=len(sound))
        heard[:, channel] = sound[:, channel] + fftconvolve(sound[:, channel], echo)[: len(sound)] + noise
    return np.clip(heard, -1.0, 1.0)


def _add(sound: Array, part: Array, at: float) -> None:
    start = round(at * AUDIO_HZ)
    end = min(start + len(part), len(sound))
    if start < end:
        sound[start:end] += part[: end - start]


def _delayed(sound: Mono, delay: float) -> Array:
    padded = np.concatenate([sound, np.zeros(64)])
    shift = np.exp(-2j * np.pi * np.fft.rfftfreq(len(padded), 1 / AUDIO_HZ) * delay)
    return np.asarray(np.fft.irfft(np.fft.rfft(padded) * shift, len(padded)))[: len(sound)]
