"""State of a rollout for display: its latest snapshot, and the numbers of its last ten seconds."""

import threading
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from reachy_kit.runtime.interface import CAMERA, NEUTRAL, Array, Episode, Image, Observation, Step, Tick, World
from reachy_sim.view.task_info import is_shown

_KEPT = 250
"""Number of decisions in the plots: 10 s at 25 Hz."""


@dataclass(frozen=True)
class Snapshot:
    """The robot at one instant, with the task's error, reward and success."""

    seed: int = 0
    time: float = 0.0
    """Time since the episode began, s."""
    state: Array = field(default_factory=NEUTRAL.copy)
    """(9,) measured state."""
    action: Array = field(default_factory=NEUTRAL.copy)
    """(9,) action in force."""
    target: Array | None = None
    """(3,) m, target, base frame; None while it is hidden, or without a world."""
    task_error: float | None = None
    """Task error as in ``Truth.task_error``."""
    reward: float | None = None
    success: bool | None = None
    image: Image | None = None
    """The head camera's image, (H, W, 3) RGB uint8."""


class SnapshotBuffer:
    """Subscriber and ``on_tick`` that keeps the latest snapshot and the recent numbers for other threads.

    Args:
        world: ground truth, where there is one.
    """

    def __init__(self, world: World | None = None) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, float, float]] = deque(maxlen=_KEPT)
        self._start_time = 0.0
        self.latest = Snapshot()
        self.count = 0
        """Counter of the snapshots."""

    def on_episode_start(self, seed: int) -> None:
        """Forget the episode before."""
        with self._lock:
            self._recent.clear()
        self._set(Snapshot(seed=seed, action=self.latest.action))

    def on_tick(self, tick: Tick) -> None:
        """Show the robot at the start of an episode, before its first step."""
        if tick.index == 0:
            self._start_time = tick.observation.capture_time
            self._set(replace(self._observed(tick.observation), action=tick.action))

    def on_step(self, step: Step) -> None:
        """Show the observation after a step."""
        if step.index == 0:
            self._start_time = step.observation.capture_time
        snapshot = replace(self._observed(step.next_observation), action=step.action)
        truth = step.truth
        if truth:
            with self._lock:
                self._recent.append((snapshot.time, truth.task_error, truth.reward))
            snapshot = replace(
                snapshot,
                target=truth.target if is_shown(self._world, step.next_observation.capture_time) else None,
                task_error=truth.task_error,
                reward=truth.reward,
                success=truth.success,
            )
        self._set(snapshot)

    def on_episode_end(self, episode: Episode) -> None:
        """Keep the last snapshot."""

    @property
    def recent(self) -> Array:
        """Recent numbers (3, K): time in s, ``Truth.task_error``, reward."""
        with self._lock:
            return np.array(self._recent, dtype=np.float64).reshape(-1, 3).T

    def _observed(self, observation: Observation) -> Snapshot:
        return replace(
            self.latest,
            time=observation.capture_time - self._start_time,
            state=observation.state,
            image=observation.images.get(CAMERA, self.latest.image),
        )

    def _set(self, snapshot: Snapshot) -> None:
        self.latest = snapshot
        self.count += 1
