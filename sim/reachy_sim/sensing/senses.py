"""Senses of a batch of robots: ``environment_state``, as late, noisy and patchy as the robot's own.

Each sense observes the world as it was one latency ago, adds noise, misses some frames, and keeps the last sighting.
"""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import CONTROL_HZ, Array
from reachy_kit.runtime.perception.target import MAX_AGE
from reachy_sim import counter_rng
from reachy_sim.domain import MAX_LATENCY, DomainSample
from reachy_sim.dynamics.joints import Ids
from reachy_sim.tasks.task import Scenario, Task, View

SLOTS = int(MAX_LATENCY * CONTROL_HZ) + 10
"""Ticks of poses that are kept: the longest latency, plus a period of the slowest sense."""


class PoseHistory:
    """States and head poses of N robots at the last ticks.

    Args:
        count: N.
    """

    def __init__(self, count: int) -> None:
        self._states = np.zeros((SLOTS, count, 9))
        # The batch is the last axis, as in the kinematic tier: entries of one matrix element then lie side by side.
        self._rotations, self._positions = np.zeros((SLOTS, 3, 3, count)), np.zeros((SLOTS, 3, count))
        self._rows = np.arange(count)
        self._now = 0

    def reset(self, ids: Ids, view: View) -> None:
        """Fill the history of robots ``ids`` with where they are now."""
        self._states[:, ids] = view.state[ids]
        self._rotations[..., ids] = view.rotation[ids].transpose(1, 2, 0)
        self._positions[..., ids] = view.position[ids].T

    def append(self, view: View) -> None:
        """Append a tick."""
        self._now = (self._now + 1) % SLOTS
        self._states[self._now] = view.state
        self._rotations[self._now] = view.rotation.transpose(1, 2, 0)
        self._positions[self._now] = view.position.T

    def at(self, ago: npt.NDArray[np.int64]) -> View:
        """Return where each robot was (N,) ticks ago."""
        if ago.size and (ago == ago[0]).all():
            slot = (self._now - int(ago[0])) % SLOTS
            return View(self._states[slot], self._rotations[slot].transpose(2, 0, 1), self._positions[slot].T)
        slots, rows = (self._now - ago) % SLOTS, self._rows
        return View(self._states[slots, rows], self._rotations[slots, :, :, rows], self._positions[slots, :, rows])


class Senses:
    """``environment_state`` of a batch.

    Args:
        task: defines what is sensed.
        count: N.
    """

    def __init__(self, task: Task, count: int) -> None:
        self._task = task
        self._width = len(task.features) - 2
        self._last: Array = np.zeros((count, self._width))
        self._found_at: Array = np.full(count, -np.inf)
        self._every = max(round(task.period * CONTROL_HZ), 1)
        self._latency = np.zeros(count, dtype=np.int64)
        self._noise: Array = np.ones(count)
        self._missed: Array = np.zeros(count)
        self._tilt: Array | None = None

    def reset(self, ids: Ids, sample: DomainSample, tilt: Array | None = None) -> None:
        """Begin episodes, in which nothing has been sensed yet.

        Args:
            ids: (K,) indices of the robots.
            sample: their domain parameters.
            tilt: (K, 3) rad, rotation vectors of their cameras (x right, y down, z forward); None leaves them straight.
        """
        self._last[ids], self._found_at[ids] = 0.0, -np.inf
        self._latency[ids], self._noise[ids], self._missed[ids] = sample.latency, sample.noise, sample.missed
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
        """Sense at the current tick.

        Args:
            scenario: the episodes.
            ticks: (N,) since they began.
            poses: history of the heads.
            keys: (N,) of the episodes, from ``counter_rng.episode_keys``.

        Returns:
            (N, K) features.
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
        """Sense from known poses at known times of capture.

        Args:
            view: where the heads were at the capture.
            scenario: the episodes.
            captured: (N,) s from the start of the episodes to the capture.
            now: (N,) s, on the same clock.
            keys: (N,) of the episodes, from ``counter_rng.episode_keys``.

        Returns:
            (N, K) features.
        """
        values, present = self._task.sighting(scenario, captured, view)
        if self._tilt is not None:
            values = _tilted(values, self._tilt)
        # Keyed by the frame, so that two queries of one frame agree.
        frames = (np.round(captured * CONTROL_HZ) + SLOTS).astype(np.uint64)
        uniforms = counter_rng.uniform_of(keys, counter_rng.SENSING, 5, frames)
        values = self._task.noisy(values, counter_rng.normal(uniforms[:, :4]), self._noise)
        found = present & (uniforms[:, 4] >= self._missed)
        self._last = np.where(found[:, None], values, self._last)
        self._found_at = np.where(found, captured, self._found_at)
        features = np.empty((len(now), self._width + 2))
        features[:, : self._width], features[:, -2] = self._last, found
        features[:, -1] = np.minimum(np.maximum(now - self._found_at, 0.0), MAX_AGE)
        return features


def _tilted(values: Array, tilt: Array) -> Array:
    """Bearings (right, below, …) in a camera that is turned by (N, 3) rotation vectors."""
    right, below = values[:, 0], values[:, 1]
    level = np.cos(below)
    x, y, z = level * np.sin(right), np.sin(below), level * np.cos(right)
    # The image turns against the camera: Rodrigues' formula with the negative rotation vector.
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
