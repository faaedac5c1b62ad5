"""What the senses of a batch of robots tell, as late, as wrong and as patchy as the robot's own.

Each sense looks at the world as it was a latency ago, adds noise, misses some frames, and remembers the last sighting.
"""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import CONTROL_HZ, Array
from reachy_kit.runtime.perception.target import MAX_AGE
from reachy_sim import counter_rng
from reachy_sim.domain import MAX_LATENCY, DomainSample
from reachy_sim.tasks.task import Scenario, Task, View

type Ids = npt.NDArray[np.int64]
SLOTS = int(MAX_LATENCY * CONTROL_HZ) + 10
"""Ticks of poses remembered: the longest latency, and a period of the slowest sense."""


class PoseHistory:
    """Where N heads were at the last few ticks.

    Args:
        count: N.
    """

    def __init__(self, count: int) -> None:
        self._states = np.zeros((SLOTS, count, 9))
        # The batch last, as the kinematic tier has it: formulas on single entries then find them side by side.
        self._rotations, self._positions = np.zeros((SLOTS, 3, 3, count)), np.zeros((SLOTS, 3, count))
        self._rows = np.arange(count)
        self._now = 0

    def reset(self, ids: Ids, view: View) -> None:
        """Some have stood where they are for a while."""
        self._states[:, ids] = view.state[ids]
        self._rotations[..., ids] = view.rotation[ids].transpose(1, 2, 0)
        self._positions[..., ids] = view.position[ids].T

    def note(self, view: View) -> None:
        """Another tick."""
        self._now = (self._now + 1) % SLOTS
        self._states[self._now] = view.state
        self._rotations[self._now] = view.rotation.transpose(1, 2, 0)
        self._positions[self._now] = view.position.T

    def at(self, ago: npt.NDArray[np.int64]) -> View:
        """Where each was (N,) ticks ago."""
        if ago.size and (ago == ago[0]).all():
            slot = (self._now - int(ago[0])) % SLOTS
            return View(self._states[slot], self._rotations[slot].transpose(2, 0, 1), self._positions[slot].T)
        slots, rows = (self._now - ago) % SLOTS, self._rows
        return View(self._states[slots, rows], self._rotations[slots, :, :, rows], self._positions[slots, :, rows])


class Senses:
    """``environment_state`` of a batch.

    Args:
        task: what there is to sense.
        count: N.
    """

    def __init__(self, task: Task, count: int) -> None:
        self._task = task
        self._width = len(task.features) - 2
        self._last = np.zeros((count, self._width))
        self._seen_at = np.full(count, -np.inf)
        self._every = max(round(task.period * CONTROL_HZ), 1)
        self._latency = np.zeros(count, dtype=np.int64)
        self._noise, self._missed = np.ones(count), np.zeros(count)
        self._tilt: Array | None = None

    def reset(self, ids: Ids, drawn: DomainSample, tilt: Array | None = None) -> None:
        """Nothing sensed yet, under the conditions of new episodes.

        Args:
            ids: (K,) which.
            drawn: their conditions.
            tilt: (K, 3) rad, rotation vectors of their cameras (x right, y down, z forward); None for none.
        """
        self._last[ids], self._seen_at[ids] = 0.0, -np.inf
        self._latency[ids], self._noise[ids], self._missed[ids] = drawn.latency, drawn.noise, drawn.missed
        if tilt is not None and (self._tilt is not None or tilt.any()):
            if self._tilt is None:
                self._tilt = np.zeros((len(self._noise), 3))
            self._tilt[ids] = tilt

    def sense(
        self,
        scenario: Scenario,
        ticks: npt.NDArray[np.int64],
        poses: PoseHistory,
        keys: counter_rng.Counters,
    ) -> Array:
        """(N, K) features now.

        Args:
            scenario: the episodes.
            ticks: (N,) since they began.
            poses: where the heads have been.
            keys: (N,) the episodes', of ``draws``.
        """
        captured = ticks - self._latency
        if self._every > 1:
            captured = captured - captured % self._every
        view = poses.at(ticks - captured)
        return self.sense_from(view, scenario, captured / CONTROL_HZ, ticks / CONTROL_HZ, keys)

    def sense_from(
        self,
        view: View,
        scenario: Scenario,
        captured: Array,
        now: Array,
        keys: counter_rng.Counters,
    ) -> Array:
        """(N, K) features, when it is known from where the frames were taken.

        Args:
            view: where the heads were then.
            scenario: the episodes.
            captured: (N,) s since the episodes began.
            now: (N,) s, the same clock.
            keys: (N,) the episodes', of ``draws``.
        """
        values, present = self._task.sighting(scenario, captured, view)
        if self._tilt is not None:
            values = _tilted(values, self._tilt)
        # Keyed by the frame, so that whoever asks twice about one frame hears the same.
        frames = (np.round(captured * CONTROL_HZ) + SLOTS).astype(np.uint64)
        uniforms = counter_rng.uniform_of(keys, counter_rng.SENSING, 5, frames)
        values = self._task.noisy(values, counter_rng.normal(uniforms[:, :4]), self._noise)
        found = present & (uniforms[:, 4] >= self._missed)
        self._last = np.where(found[:, None], values, self._last)
        self._seen_at = np.where(found, captured, self._seen_at)
        features = np.empty((len(now), self._width + 2))
        features[:, : self._width], features[:, -2] = self._last, found
        features[:, -1] = np.minimum(np.maximum(now - self._seen_at, 0.0), MAX_AGE)
        return features


def _tilted(values: Array, tilt: Array) -> Array:
    """Bearings (right, below, …) as a camera sees them that is turned by (N, 3) rotation vectors."""
    right, below = values[:, 0], values[:, 1]
    level = np.cos(below)
    x, y, z = level * np.sin(right), np.sin(below), level * np.cos(right)
    # The camera turns one way, what it sees the other: Rodrigues' formula, backwards.
    angle = np.sqrt(tilt[:, 0] ** 2 + tilt[:, 1] ** 2 + tilt[:, 2] ** 2)
    a, b, c = -tilt.T / np.where(angle > 0, angle, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    along = (1 - cos) * (a * x + b * y + c * z)
    x, y, z = (
        cos * x + sin * (b * z - c * y) + along * a,
        cos * y + sin * (c * x - a * z) + along * b,
        cos * z + sin * (a * y - b * x) + along * c,
    )
    result = values.copy()
    result[:, 0], result[:, 1] = np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))
    return result
