"""wave: hold the right antenna at a given angle. A task from outside the kit: one file, with a feature of its own."""

from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.interface import ANTENNA_REST, NEUTRAL, TaskError, TaskSpec
from reachy_kit.runtime.perception.features import Feature, register_features
from reachy_sim.tasks import SimulatedTask
from reachy_sim.tasks.task import Scenario, Task
from reachy_sim.tasks.variants import Variant, variants

RIGHT = 7
SPEC = TaskSpec(
    name="wave",
    instruction="Hold the right antenna at the angle.",
    features=register_features(
        Feature("wave_angle", "rad", -3.0, 3.0, "where the right antenna should be"),
        Feature("wave_known", "1", 0.0, 1.0, "whether the angle is known now"),
        Feature("wave_age", "s", 0.0, 1.0, "time since the angle was last known"),
    ),
    explored_axes=("right_antenna.pos",),
    error=TaskError("wave error", unit="milliradians", symbol=" mrad", scale=1000.0),
    gym_id="Elsewhere/Wave-v0",
    simulation=f"{__name__}:SIMULATION",
)


@dataclass
class WaveScenario(Scenario):
    angle: np.ndarray


@dataclass(frozen=True)
class WaveTask(Task):
    @property
    def own_spans(self):
        return ((-1.0, 0.5),)

    def build(self, start, drawn):
        return WaveScenario(start, drawn[:, 0])

    def target(self, scenario, time):
        return np.tile([0.8, 0.0, 0.0], (len(time), 1))

    def shown(self, scenario, time):
        return np.ones(len(time), dtype=np.bool_)

    def sighting(self, scenario, time, view):
        return scenario.angle[:, None], self.shown(scenario, time)

    def noisy(self, values, normals, scale):
        return values

    def error(self, scenario, time, view, progress, elapsed):
        return np.abs(view.state[:, RIGHT] - scenario.angle)

    def reward_terms(self, error, view, progress, elapsed):
        return {"near": np.exp(-((error / 0.3) ** 2))}


class Waver:
    """An expert that moves to the angle as soon as it is known."""

    def __init__(self, count, hz):
        self._count = count

    def reset(self, ids, seeds, episodes):
        pass

    def act(self, state, environment_state, last_action):
        action = np.tile(NEUTRAL, (self._count, 1))
        action[:, RIGHT] = np.where(environment_state[:, 1] > 0, environment_state[:, 0], ANTENNA_REST[0])
        return action


WAVE = WaveTask(SPEC, seconds=1.2, tolerance=0.15, hold=0.4, hold_mode="continuous")
SIMULATION = SimulatedTask(variants(Variant("training", WAVE)), expert=Waver, oracle=Waver)
