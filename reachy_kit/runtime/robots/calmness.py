"""Calmness: how fast the head still turns while the target stands still. A camera on a restless head sees no more.

Try it: reachy-kit eval expert --task track --variant still --target face --robot daemon --episodes 3
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from reachy_kit.runtime.geometry import CAMERA_IN_HEAD, pose_from_vector
from reachy_kit.runtime.interface import Array, Episode, Step
from reachy_kit.runtime.perception.target import BELOW, RIGHT, TARGET_FEATURES, VISIBLE

STILL_SPEED = np.deg2rad(3.0)
"""Angular speed below which a target counts as still, rad/s: a tenth of the fastest swing of ``track``."""
WINDOW = 0.5
"""Time over which that speed is measured, s: the detector's noise of 0.25° then is 0.7°/s."""
SETTLED = 2.0
"""Time for which the target must have been still, s: the head finds it and comes to rest before."""


@dataclass(frozen=True)
class Calmness:
    """Motion of the head while the target stands still."""

    speed: float
    """Mean angular speed of the head, rad/s."""
    seconds: float
    """Time over which it was measured, s."""

    @classmethod
    def over(cls, parts: Sequence[Self | None]) -> Self | None:
        """Calmness over several episodes, each weighted by its time; None where none had a still target."""
        measured = [part for part in parts if part is not None]
        if not measured:
            return None
        seconds = sum(part.seconds for part in measured)
        return cls(sum(part.speed * part.seconds for part in measured) / seconds, seconds)

    def text(self) -> str:
        """A line for people."""
        return f"calmness: the head turns at {np.rad2deg(self.speed):.2f}°/s while the target stands still"

    def summary(self) -> dict[str, float]:
        """The same for scripts."""
        return {"degrees_per_second": round(float(np.rad2deg(self.speed)), 4), "seconds": round(self.seconds, 2)}


def measure_calmness(times: Array, states: Array, directions: Array) -> Calmness | None:
    """Mean angular speed of the head in the part of an episode in which the target stands still.

    Args:
        times: (T,) s of the measurements.
        states: (T, 9) measured.
        directions: (T, 3) unit vectors to the target, base frame; NaN while it is not seen.

    Returns:
        None where the target does not stand still for longer than ``SETTLED``.
    """
    if len(times) < 2:
        return None
    before = np.searchsorted(times, times - WINDOW - 1e-6)
    aligned = np.sum(directions * directions[before], axis=-1)
    moved = np.arccos(np.clip(aligned, -1.0, 1.0))
    elapsed = times - times[before]
    # Too early in the episode nothing is known yet; NaN compares as False.
    still = (elapsed >= 0.8 * WINDOW) & (moved <= STILL_SPEED * elapsed)
    began = times.copy()
    for index in range(1, len(times)):
        began[index] = began[index - 1] if still[index] and still[index - 1] else times[index]
    settled = still & (times - began >= SETTLED - WINDOW)
    steps = np.flatnonzero(settled[1:]) + 1
    if not len(steps):
        return None
    rotations = pose_from_vector(states)[:, :3, :3]
    traces = np.einsum("tij,tij->t", rotations[steps], rotations[steps - 1])
    turned = np.arccos(np.clip((traces - 1) / 2, -1.0, 1.0))
    passed = float(np.sum(times[steps] - times[steps - 1]))
    return Calmness(float(turned.sum()) / passed, passed)


class CalmnessMeter:
    """A subscriber that measures each episode's calmness, from the ground truth, or from what perception sees.

    It keeps every step of the episode: not for one without an end.

    Args:
        features: names of what perception yields.
    """

    def __init__(self, features: Sequence[str]) -> None:
        self._sees = tuple(features) == TARGET_FEATURES
        self.episodes: list[Calmness | None] = []
        """One for each episode that has ended."""

    def on_episode_start(self, seed: int) -> None:
        """Begin a measurement."""
        self._rows: list[tuple[float, Array, Array]] = []

    def on_step(self, step: Step) -> None:
        """Note where the head is, and where the target."""
        after = step.next_observation
        if step.truth is not None:
            away = step.truth.target - CAMERA_IN_HEAD
            self._rows.append((after.capture_time, after.state, away / np.linalg.norm(away)))
        elif self._sees and after.environment_state is not None:
            self._rows.append((after.capture_time, after.state, _seen_direction(after.state, after.environment_state)))

    def on_episode_end(self, episode: Episode) -> None:
        """Measure the episode."""
        if not self._rows:
            self.episodes.append(None)
            return
        times, states, directions = (np.array(column) for column in zip(*self._rows, strict=True))
        self.episodes.append(measure_calmness(times, states, directions))

    @property
    def calmness(self) -> Calmness | None:
        """Over all episodes."""
        return Calmness.over(self.episodes)


def _seen_direction(state: Array, features: Array) -> Array:
    """Direction of a target that perception sees, (3,) base frame, NaN while it does not."""
    if features[VISIBLE] <= 0:
        return np.full(3, np.nan)
    right, below = features[RIGHT], features[BELOW]
    in_head = np.array([np.cos(below) * np.cos(right), -np.cos(below) * np.sin(right), -np.sin(below)])
    return np.asarray(pose_from_vector(state)[:3, :3] @ in_head)
