"""What there is to see of a rollout: one moment after the other, and the last ten seconds of its numbers."""

import threading
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from reachy_kit.runtime.interface import CAMERA, NEUTRAL, Array, Episode, Image, Observation, Step, World
from reachy_sim.view.task_info import is_shown

_KEPT = 250
"""Decisions in the plots: 10 s at 25 Hz."""


@dataclass(frozen=True)
class Snapshot:
    """The robot at one instant, and how it is doing."""

    seed: int = 0
    time: float = 0.0
    """s since the episode began."""
    state: Array = field(default_factory=NEUTRAL.copy)
    """(9,) measured."""
    action: Array = field(default_factory=NEUTRAL.copy)
    """(9,) in force."""
    target: Array | None = None
    """(3,) m, base frame; None while it hides, or where nobody knows of one."""
    task_error: float | None = None
    """As ``Truth.task_error``."""
    reward: float | None = None
    success: bool | None = None
    image: Image | None = None
    """What the eye sees, (H, W, 3) RGB."""


class SnapshotBuffer:
    """Subscriber that keeps the latest moment and the recent numbers for other threads to look at.

    Args:
        world: ground truth, where there is one.
    """

    def __init__(self, world: World | None = None) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, float, float]] = deque(maxlen=_KEPT)
        self._begun: float | None = None
        self.latest = Snapshot()
        self.count = 0
        """Grows with every moment."""

    def observed(self, observation: Observation) -> None:
        """The robot was looked at."""
        if self._begun is None:
            self._begun = observation.capture_time
        self._set(
            replace(
                self.latest,
                time=observation.capture_time - self._begun,
                state=observation.state,
                image=observation.images.get(CAMERA, self.latest.image),
            )
        )

    def on_episode_start(self, seed: int) -> None:
        """Nothing of the episode before stays."""
        self._begun = None
        with self._lock:
            self._recent.clear()
        self._set(Snapshot(seed=seed, action=self.latest.action))

    def on_step(self, step: Step) -> None:
        """A decision has been carried out, and the robot was looked at afterwards."""
        truth, now = step.truth, self.latest.time
        if truth is None:
            self._set(replace(self.latest, action=step.action))
            return
        begun = self._begun or 0.0
        target = truth.target if is_shown(self._world, begun + now) else None
        with self._lock:
            self._recent.append((now, truth.task_error, truth.reward))
        self._set(
            replace(
                self.latest,
                action=step.action,
                target=target,
                task_error=truth.task_error,
                reward=truth.reward,
                success=truth.success,
            )
        )

    def on_episode_end(self, episode: Episode) -> None:
        """The last moment stays."""

    @property
    def recent(self) -> Array:
        """(3, K) time in s, ``Truth.task_error``, reward."""
        with self._lock:
            return np.array(self._recent, dtype=np.float64).reshape(-1, 3).T

    def _set(self, moment: Snapshot) -> None:
        self.latest = moment
        self.count += 1
