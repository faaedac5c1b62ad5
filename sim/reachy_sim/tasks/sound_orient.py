"""sound_orient: turn head and body to a sound that may come from anywhere, from the microphone array's poor bearing.

Try it: reachy-kit eval expert --task sound_orient --episodes 5
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from reachy_kit.runtime.geometry import wrap_angle
from reachy_kit.runtime.interface import BODY_YAW, PITCH, ROLL, YAW, Array
from reachy_kit.runtime.perception.sound import DIRECTION_PERIOD
from reachy_kit.runtime.tasks.sound_orient_spec import SPEC
from reachy_sim.domain import HELD_OUT_ROBOTS, DomainParameters
from reachy_sim.tasks.follower import LISTENER, SOUND_ORACLE, Follower
from reachy_sim.tasks.simulated_task import SimulatedTask
from reachy_sim.tasks.task import Bools, Progress, Scenario, Span, Task, View, rate
from reachy_sim.tasks.variants import Variant, held_out, variants

BEARING_NOISE = np.deg2rad(8.0)
"""Standard deviation of a direction of arrival, rad. Chosen: the array's documents give none."""
LEVEL_NOISE = 0.05
_HEAD_HEIGHT = 0.05
"""Height of the mouth above the head's origin, m: a person across the table."""


@dataclass
class SoundScenario(Scenario):
    """Episodes of a person who speaks in bursts."""

    direction: Array
    """(N,) rad, direction of the person, left of straight ahead, base frame."""
    distance: Array
    """(N,) m, distance."""
    talk: Array
    """(N,) s, length of a burst."""
    pause: Array
    """(N,) s, pause between bursts."""
    begins: Array
    """(N,) s, start of the first burst."""


@dataclass(frozen=True)
class SoundTask(Task):
    """Turn to a person who speaks."""

    direction: Span
    """Range of the direction to either side of the head's at the start, rad."""
    distance: Span
    """m."""
    talk: Span
    """s."""
    pause: Span
    """s."""

    period: ClassVar[float] = DIRECTION_PERIOD

    @property
    def own_spans(self) -> tuple[Span, ...]:
        """Ranges of side, direction, distance and bursts."""
        return ((-1.0, 1.0), self.direction, self.distance, self.talk, self.pause, (0.0, 0.4))

    def build(self, start: Array, drawn: Array) -> SoundScenario:
        """Build episodes from drawn numbers."""
        side = np.where(drawn[:, 0] < 0, -1.0, 1.0)
        return SoundScenario(start, start[:, YAW] + side * drawn[:, 1], *drawn[:, 2:].T.copy())

    def target(self, scenario: Scenario, time: Array) -> Array:
        """Position of the speaker's mouth."""
        assert isinstance(scenario, SoundScenario)
        away, left = scenario.distance, scenario.direction
        return np.stack([away * np.cos(left), away * np.sin(left), np.full_like(left, _HEAD_HEIGHT)], axis=-1)

    def shown(self, scenario: Scenario, time: Array) -> Bools:
        """Whether the person is speaking."""
        assert isinstance(scenario, SoundScenario)
        since = time - scenario.begins
        return np.asarray((since >= 0) & (since % (scenario.talk + scenario.pause) < scenario.talk))

    def sighting(self, scenario: Scenario, time: Array, view: View) -> tuple[Array, Bools]:
        """Bearing to the right, front and back alike, and loudness."""
        assert isinstance(scenario, SoundScenario)
        right = _facing(view) - scenario.direction
        folded = _folded(right)
        level = np.minimum(0.6 / scenario.distance, 1.0)
        return np.stack([folded, level], axis=-1), self.shown(scenario, time)

    def noisy(self, values: Array, normals: Array, scale: Array) -> Array:
        """Direction and loudness with the array's noise."""
        values[:, 0] = _folded(values[:, 0] + BEARING_NOISE * scale * normals[:, 0])
        values[:, 1] = np.clip(values[:, 1] + LEVEL_NOISE * scale * normals[:, 1], 0.0, 1.0)
        return values

    def error(self, scenario: Scenario, time: Array, view: View, progress: Progress, elapsed: Array) -> Array:
        """Angle between head and sound in the horizontal plane."""
        assert isinstance(scenario, SoundScenario)
        return np.abs(wrap_angle(_facing(view) - scenario.direction))

    def reward_terms(self, error: Array, view: View, progress: Progress, elapsed: Array) -> dict[str, Array]:
        """``face``: near the sound. ``body``: under the head. ``level``: upright. ``calm``: no faster than needed."""
        state = view.state
        twist = state[:, YAW] - state[:, BODY_YAW]
        nod = state[:, PITCH] ** 2 + state[:, ROLL] ** 2
        speed = rate(state, progress.last, elapsed)[:, YAW]
        return {
            "face": 0.8 * np.exp(-((error / (2 * self.tolerance)) ** 2)),
            "body": 0.1 * np.exp(-((twist / 0.5) ** 2)),
            "level": 0.1 * np.exp(-nod / 0.3**2),
            "calm": -0.02 * speed**2,
        }


def _folded(bearing: Array) -> Array:
    """Bearing as the array measures it, (N,) rad in [−π/2, π/2]: behind is folded to the front."""
    return np.asarray(np.arcsin(np.clip(np.sin(bearing), -1.0, 1.0)))


def _facing(view: View) -> Array:
    """Direction of the head, (N,) rad left of straight ahead."""
    return np.asarray(np.arctan2(view.rotation[:, 1, 0], view.rotation[:, 0, 0]))


SOUND_ORIENT = SoundTask(
    spec=SPEC,
    seconds=5.0,
    # People who are spoken to from within about 10° feel addressed (the cone of gaze, Gamer & Hecht 2007: up to 9°).
    tolerance=np.deg2rad(10.0),
    hold=1.0,
    hold_mode="continuous",
    direction=(0.4, 1.9),
    distance=(0.6, 2.0),
    talk=(0.8, 2.0),
    pause=(0.2, 0.6),
)
VARIANTS = variants(
    Variant("training", SOUND_ORIENT),
    Variant("behind", replace(SOUND_ORIENT, seconds=6.0, direction=(1.9, 2.2))),
    Variant("short_words", replace(SOUND_ORIENT, talk=(0.2, 0.4), pause=(0.6, 1.2))),
    *held_out(SOUND_ORIENT, HELD_OUT_ROBOTS),
    Variant("echoing", SOUND_ORIENT, DomainParameters(noise=(2.0, 3.0))),
    Variant("late", SOUND_ORIENT, DomainParameters(latency=(0.16, 0.26))),
    Variant("deafened", SOUND_ORIENT, DomainParameters(missed=(0.4, 0.6))),
)
SIMULATION = SimulatedTask(
    VARIANTS,
    expert=partial(Follower, config=LISTENER, features=SPEC.features),
    oracle=partial(Follower, config=SOUND_ORACLE, features=SPEC.features),
)
