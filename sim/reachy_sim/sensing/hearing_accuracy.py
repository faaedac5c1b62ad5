"""Accuracy and latency of hearing on sounds with known truth.

Try it: .venv/bin/python -m reachy_sim.sensing.hearing_report
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.geometry import wrap_angle
from reachy_kit.runtime.interface import AUDIO_HZ, Array
from reachy_kit.runtime.perception.hearing.sound_analyser import LOUD, Heard, SoundAnalyser
from reachy_sim.sensing.synthetic_sound import PATTERNS, drums, from_direction, in_a_room, speech

SPACING = 0.1
"""Between the two microphones, m."""
ANGLES = (-75, -60, -45, -30, -15, 0, 15, 30, 45, 60, 75)
TEMPI = tuple(range(50, 181, 10))
"""Beats per minute."""
_BLOCK = 320
_SETTLED = 4.0
"""Time after which a beat tracker has had its chance, s."""
_LEAD = 0.5
"""Silence before and after a sentence, s."""

type Room = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class DirectionAccuracy:
    """Errors of the direction while somebody speaks, degrees, and the voice detector's."""

    directions: int
    bias: float
    spread: float
    """Root mean square around the bias."""
    worst_5_percent: float
    """Absolute error that 5 % of the directions exceed."""
    voice_hit: float
    """Share of the speech that is heard as speech."""
    voice_false_alarm: float
    """Share of the time without speech, half of it in drums, that is heard as speech."""
    voice_delay: float
    """Time from the first sound of a sentence to speech that is heard, s: the median."""


@dataclass(frozen=True)
class BeatAccuracy:
    """Errors of one tempo's beat."""

    pattern: str
    """Of the drum kit, one of ``PATTERNS``."""
    tempo: int
    """Beats per minute."""
    locked_after: float
    """Time from the first beat until it is tracked, s; NaN if it is not."""
    tracked: float
    """Share of the time after the first seconds."""
    tempo_error: float
    """Relative; 1 is an octave up, −0.5 one down."""
    phase_bias: float
    """Mean of the phase's error, beats; positive where the beat is reported too early."""
    phase_spread: float
    """Standard deviation around it, beats."""


@dataclass(frozen=True)
class Latency:
    """Time from a sound to its feature, s, in blocks of 20 ms, without the microphone's own."""

    onset: float
    """From a drum's attack to the onset: the median."""
    work: float
    """Computing time for a block: the median."""
    work_worst: float
    """The same, which 1 % of the blocks exceed."""


def hear(sound: npt.NDArray[np.float32], spacing: float | None = None) -> list[Heard]:
    """What is heard after each block of (samples, channels)."""
    analyser = SoundAnalyser(sound.shape[1], spacing)
    starts = range(0, len(sound) - _BLOCK + 1, _BLOCK)
    return [analyser.update(sound[start : start + _BLOCK], (start + _BLOCK) / AUDIO_HZ) for start in starts]


def measure_directions(rng: np.random.Generator, sentences: int) -> DirectionAccuracy:
    """Sentences from known directions, and drums from none."""
    errors: list[float] = []
    hits, alarms, delays = list[bool](), list[bool](), list[float]()
    for sentence in range(sentences):
        spoken = np.pad(speech(sentence), round(_LEAD * AUDIO_HZ))
        voiced = _voiced(spoken)
        for angle in ANGLES:
            right = float(np.deg2rad(angle))
            heard = hear(in_a_room(from_direction(spoken, right, SPACING), rng), SPACING)
            errors += [
                float(np.rad2deg(moment.bearing.right - right))
                for moment in heard
                if moment.bearing and moment.bearing.time > moment.time - 0.03
            ]
            ends = (np.arange(1, len(heard) + 1) * _BLOCK).clip(max=len(voiced) - 1)
            near = np.convolve(voiced, np.ones(round(0.4 * AUDIO_HZ)), "same") > 0.5  # neither speech nor silence
            hits += [moment.speaking for moment, end in zip(heard, ends, strict=True) if voiced[end]]
            alarms += [moment.speaking for moment, end in zip(heard, ends, strict=True) if not near[end]]
            first = float(np.argmax(voiced)) / AUDIO_HZ
            delays += [next((moment.time - first for moment in heard if moment.speaking), np.inf)]
    rhythm, _ = drums(2.0, len(alarms) * _BLOCK / AUDIO_HZ, rng)
    alarms += [moment.speaking for moment in hear(in_a_room(rhythm[:, None], rng))]
    bias = float(np.mean(errors))
    return DirectionAccuracy(
        directions=len(errors),
        bias=bias,
        spread=float(np.std(errors)),
        worst_5_percent=float(np.quantile(np.abs(errors), 0.95)),
        voice_hit=float(np.mean(hits)),
        voice_false_alarm=float(np.mean(alarms)),
        voice_delay=float(np.median(delays)),
    )


def measure_beats(rng: np.random.Generator, seconds: float = 12.0) -> list[BeatAccuracy]:
    """Drum kits of every pattern and tempo, in a room."""
    rows = []
    for pattern, tempo in itertools.product(PATTERNS, TEMPI):
        sound, beats = drums(tempo / 60, seconds, rng, first=float(rng.uniform(0.2, 1.0)), pattern=pattern)
        heard = hear(in_a_room(sound[:, None], rng))
        late = [moment for moment in heard if moment.time > beats[0] + _SETTLED]
        found = [(moment.time, moment.beat) for moment in late if moment.beat]
        first = next((moment.time - beats[0] for moment in heard if moment.beat), np.nan)
        if not found:
            rows.append(BeatAccuracy(pattern, tempo, float(first), 0.0, np.nan, np.nan, np.nan))
            continue
        true = np.array([2 * np.pi * (moment - beats[0]) * tempo / 60 for moment, _ in found])
        off: Array = wrap_angle(np.array([beat.phase for _, beat in found]) - true) / (2 * np.pi)
        heard_tempo = float(np.median([beat.tempo for _, beat in found]))
        rows.append(
            BeatAccuracy(
                pattern,
                tempo, float(first), len(found) / len(late), 60 * heard_tempo / tempo - 1,
                float(off.mean()), float(off.std()),
            )
        )  # fmt: skip
    return rows


def measure_latency(rng: np.random.Generator, seconds: float = 20.0) -> Latency:
    """Single drum strokes at odd times, and the computing time of each block of two channels."""
    sound, beats = drums(1.13, seconds, rng)
    stereo = in_a_room(np.stack([sound, sound], axis=-1), rng)
    analyser, onsets, work = SoundAnalyser(2, SPACING), list[tuple[float, float]](), list[float]()
    for start in range(0, len(stereo) - _BLOCK + 1, _BLOCK):
        began = time.perf_counter()
        heard = analyser.update(stereo[start : start + _BLOCK], (start + _BLOCK) / AUDIO_HZ)
        work.append(time.perf_counter() - began)
        onsets.append((heard.time, heard.onset))
    delays = [
        next((moment - beat for moment, onset in onsets if moment > beat and onset > 0.3), np.inf)
        for beat in beats
        if beat < seconds - 1
    ]
    return Latency(float(np.median(delays)), float(np.median(work)), float(np.quantile(work, 0.99)))


def _voiced(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """(samples,) whether a clean sentence sounds: its loudness over 100 ms is above a twentieth of the usual."""
    window = round(0.1 * AUDIO_HZ)
    power = np.convolve(sound.astype(np.float64) ** 2, np.ones(window) / window, "same")
    return np.asarray(power > (LOUD / 20) ** 2)
