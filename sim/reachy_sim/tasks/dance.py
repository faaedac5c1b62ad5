"""dance: nod and swing the antennas in time with a beat, from the beat's phase and tempo.

The head is lowest on the beat; the antennas swing apart on it. Scored on phase error, amplitude and smoothness.
Try it: reachy-kit eval expert --task dance --episodes 5
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import ANTENNA_REST, PITCH, Array
from reachy_kit.runtime.tasks.dance_spec import SPEC
from reachy_sim.domain import DomainParameters
from reachy_sim.tasks.dancer import METRONOME, PERSON, Dancer
from reachy_sim.tasks.simulated_task import SimulatedTask
from reachy_sim.tasks.task import Bools, Progress, Scenario, Span, Task, View, rate
from reachy_sim.tasks.variants import Variant, variants

NOD = np.deg2rad(8.0)
"""Amplitude of the nod, rad: half the way between the head's highest and lowest."""
SWING = 0.4
"""Amplitude of each antenna, rad: half its way."""
PHASE_NOISE = 0.02
"""Standard deviation of the tracked phase, beats: 10 ms at 120 beats a minute. Chosen; people's taps scatter more."""
TEMPO_NOISE = 0.01
"""Relative."""
MEMORY = 0.5
"""Time over which the movement is averaged against the beat, s: about a beat."""
_SMOOTH = 3e-5
"""Weight of the acceleration per (rad/s²)²: the ideal nod at 140 beats a minute, 16 rad/s² RMS, costs 0.01."""
_MOVERS = (PITCH, 7, 8)
_AMPLITUDE: Array = np.array([NOD, SWING, SWING])
_SIGN: Array = np.array([1.0, -1.0, 1.0])
"""Signs on the beat: the head is down (pitch positive), the right antenna out (negative) and the left (positive)."""
_REST: Array = np.array([0.0, *ANTENNA_REST])


@dataclass
class DanceScenario(Scenario):
    """Episodes of a beat with a drifting tempo."""

    tempo: Array
    """(N,) Hz, tempo at the start."""
    drift: Array
    """(N,) Hz/s, drift of the tempo."""
    phase: Array
    """(N,) beats, phase at the start."""


@dataclass
class DanceProgress(Progress):
    """Progress of a batch of robots that moves in time with a beat."""

    swing: npt.NDArray[np.complex128]
    """(N, 3) complex amplitude of the head and the antennas against the beat; 1 is ideal."""

    @classmethod
    def begin(cls, state: Array) -> Self:
        """Progress at the start of episodes whose robots stand still at (N, 9)."""
        return cls(**vars(Progress.begin(state)), swing=np.zeros((len(state), len(_MOVERS)), dtype=np.complex128))


@dataclass(frozen=True)
class DanceTask(Task):
    """Move in time with a beat."""

    tempo: Span
    """Hz."""
    drift: Span = (0.0, 0.0)
    """Range of the tempo's drift, Hz/s."""

    def begin(self, state: Array) -> DanceProgress:
        """Progress at the start of episodes whose robots stand still at (N, 9)."""
        return DanceProgress.begin(state)

    @property
    def own_spans(self) -> tuple[Span, ...]:
        """Ranges of tempo, drift and phase."""
        return (self.tempo, self.drift, (0.0, 1.0))

    def build(self, start: Array, drawn: Array) -> DanceScenario:
        """Build episodes from drawn numbers."""
        return DanceScenario(start, *drawn.T.copy())

    def beats(self, scenario: Scenario, time: Array) -> Array:
        """(N,) beats since the music began; whole numbers are beats."""
        assert isinstance(scenario, DanceScenario)
        return np.asarray(scenario.phase + scenario.tempo * time + 0.5 * scenario.drift * time**2)

    def target(self, scenario: Scenario, time: Array) -> Array:
        """Point ahead that bobs with the beat, for the viewer alone."""
        height = -0.03 * np.cos(2 * np.pi * self.beats(scenario, time))
        return np.stack([np.full_like(height, 0.8), np.zeros_like(height), height], axis=-1)

    def shown(self, scenario: Scenario, time: Array) -> Bools:
        """Always True: the music never pauses."""
        return np.ones(len(time), dtype=np.bool_)

    def sighting(self, scenario: Scenario, time: Array, view: View) -> tuple[Array, Bools]:
        """The beat's phase on the circle, and its tempo."""
        assert isinstance(scenario, DanceScenario)
        angle = 2 * np.pi * self.beats(scenario, time)
        tempo = scenario.tempo + scenario.drift * time
        return np.stack([np.sin(angle), np.cos(angle), tempo], axis=-1), self.shown(scenario, time)

    def noisy(self, values: Array, normals: Array, scale: Array) -> Array:
        """Phase and tempo with a beat tracker's noise."""
        turn = 2 * np.pi * PHASE_NOISE * scale * normals[:, 0]
        sine, cosine, off, on = values[:, 0].copy(), values[:, 1].copy(), np.sin(turn), np.cos(turn)
        values[:, 0], values[:, 1] = sine * on + cosine * off, cosine * on - sine * off
        values[:, 2] = np.clip(values[:, 2] * (1 + TEMPO_NOISE * scale * normals[:, 1]), 0.0, 4.0)
        return values

    def error(self, scenario: Scenario, time: Array, view: View, progress: Progress, elapsed: Array) -> Array:
        """Phase error of the nod, or π while it is too small to be one.

        The head's and the antennas' motions are multiplied by the beat's phasor and averaged: motion at the beat's
        frequency remains, other motion averages out.
        """
        assert isinstance(progress, DanceProgress)
        moved = (view.state[:, _MOVERS] - _REST) * _SIGN / _AMPLITUDE
        phasor = 2 * np.exp(-2j * np.pi * self.beats(scenario, time))[:, None]
        share = (1 - np.exp(-elapsed / MEMORY))[:, None]
        progress.swing = progress.swing + share * (moved * phasor - progress.swing)
        nod = progress.swing[:, 0]
        return np.where(np.abs(nod) >= 0.5, np.abs(np.angle(nod)), np.pi)

    def reward_terms(self, error: Array, view: View, progress: Progress, elapsed: Array) -> dict[str, Array]:
        """``nod`` and ``antennas``: as large as wanted and in phase. ``smooth``: no jerks."""
        assert isinstance(progress, DanceProgress)
        # 1 for the wanted swing in phase, less for a smaller, a larger or a late one.
        in_time = np.exp(-(np.abs(progress.swing - 1.0) ** 2) / 0.6**2)
        change = (rate(view.state, progress.last, elapsed) - progress.speed)[:, PITCH]
        jerk = np.where(elapsed > 0, change / np.where(elapsed > 0, elapsed, 1.0), 0.0)
        return {
            "nod": 0.7 * in_time[:, 0],
            "antennas": 0.15 * (in_time[:, 1] + in_time[:, 2]),
            "smooth": -_SMOOTH * jerk**2,
        }


DANCE = DanceTask(
    spec=SPEC,
    seconds=6.0,
    # An eighth of a beat, 60 ms at 120 a minute: people's taps lead it by 20–80 ms (Repp 2005) and pass as in time.
    tolerance=np.pi / 4,
    hold=3.5,
    hold_mode="total",
    tempo=(1.2, 2.0),
)
VARIANTS = variants(
    Variant("training", DANCE),
    Variant("fast", replace(DANCE, tempo=(2.0, 2.4))),
    Variant("slow", replace(DANCE, tempo=(0.8, 1.2))),
    Variant("speeding_up", replace(DANCE, drift=(0.05, 0.12))),
    # Milder than for the other tasks, whose sluggish and worn robots cannot nod at all.
    Variant("sluggish", DANCE, DomainParameters(bandwidth_scale=(0.6, 0.8), delay=(0.04, 0.06))),
    Variant("worn", DANCE, DomainParameters(gain=(0.85, 0.95), backlash=(0.0, 0.02), friction=(1.2, 1.6))),
    Variant("loose_antenna", DANCE, DomainParameters(loose_antenna=(0.15, 0.3))),
    Variant("muddy", DANCE, DomainParameters(noise=(3.0, 5.0))),
    Variant("late", DANCE, DomainParameters(latency=(0.1, 0.16))),
    Variant("dropouts", DANCE, DomainParameters(missed=(0.4, 0.6))),
)
SIMULATION = SimulatedTask(
    VARIANTS,
    expert=partial(Dancer, config=PERSON, nod=NOD, swing=SWING),
    oracle=partial(Dancer, config=METRONOME, nod=NOD, swing=SWING),
)
