"""The world around a robot without one: ground truth, camera and perception for the simulator and a simulated daemon.

A headless daemon renders no camera and has no ball. The twin holds the task's scenario on the robot's own clock, draws
what the eye would see from the measured pose, and judges the same measured pose.
"""

from collections import deque

import numpy as np

from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import CONTROL_HZ, Array, Image, Observation, Truth
from reachy_kit.runtime.perception.camera import SIM_CAMERA
from reachy_sim import counter_rng
from reachy_sim.domain import DRAWS
from reachy_sim.dynamics.actuators import Actuators
from reachy_sim.rendering.head_camera import HeadCameraRenderer
from reachy_sim.rendering.visuals import DRAWS as VISUAL_DRAWS
from reachy_sim.rendering.visuals import VISUAL_RANGES, Visuals
from reachy_sim.sensing.senses import Senses
from reachy_sim.tasks.task import View
from reachy_sim.tasks.variants import Variant

_ONE = np.zeros(1, dtype=np.int64)
_REMEMBERED = 32
"""Poses: more than the ticks of the longest latency and the slowest sense's period."""


class SimWorld:
    """World of one robot: where the target is, what the eye sees, how well the task goes.

    The episode of a seed is the first one of an environment of that seed.

    Args:
        variant: what is to be done, and under which conditions.
    """

    def __init__(self, variant: Variant) -> None:
        self.variant, self.task = variant, variant.task
        self._eye: HeadCameraRenderer | None = None
        self.reset(0)
        self._begin(0.0)

    def reset(self, seed: int) -> Array:
        """Draw the episode of a seed; returns the (9,) start pose."""
        mine = np.full(1, seed, dtype=np.uint64), np.zeros(1, dtype=np.uint64)
        self.keys = counter_rng.episode_keys(*mine)
        self.scenario = self.task.scenario(counter_rng.uniform(*mine, counter_rng.SCENARIO, len(self.task.spans)))
        self.drawn = self.variant.conditions.draw(counter_rng.uniform(*mine, counter_rng.CONDITIONS, DRAWS))
        looks = VISUAL_RANGES.get(self.variant.conditions.visuals)
        self.looks = looks.draw(counter_rng.uniform(*mine, counter_rng.VISUALS, VISUAL_DRAWS)) if looks else Visuals()
        self._begin(np.inf)
        return np.asarray(self.scenario.start[0].copy())

    def start(self, time: float) -> None:
        """The target begins to move at this instant of the robot's clock."""
        self._begin(time)

    def actuators(self) -> Actuators:
        """The motors of the episode's robot, (1, 9)."""
        return self.drawn.actuators

    def _begin(self, time: float) -> None:
        self._begun = time
        self._last: float | None = None
        self._progress = self.task.begin(self.scenario.start)
        self._poses: deque[tuple[float, Array]] = deque(maxlen=_REMEMBERED)

    def note(self, state: Array, time: float) -> None:
        """Remember a (9,) pose, for whatever looks late; in between those that perception and camera are given."""
        if not self._poses or time > self._poses[-1][0]:
            self._poses.append((time, state))

    def seen(self, now: float, period: float = 0.0) -> tuple[float, Array]:
        """When the latest frame was taken, and the (9,) pose from which.

        Of the poses it is the nearest, not the newest old enough: on a wall clock one frame is 39.9 ms old and the next
        40.1. Before the first one the robot has stood where it was.

        Args:
            now: s on the robot's clock.
            period: s between frames; 0 means one whenever asked.
        """
        wanted = now - self.latency
        if period and np.isfinite(self._begun):
            wanted = self._begun + period * np.floor((wanted - self._begun) / period + 1e-6)
        first, state = self._poses[0]
        if wanted < first - 0.5 / CONTROL_HZ:
            return wanted, state
        return min(self._poses, key=lambda pose: abs(pose[0] - wanted))

    @property
    def latency(self) -> float:
        """S from exposure to the policy, in this episode."""
        return float(self.drawn.latency[0]) / CONTROL_HZ

    def since_start(self, time: float) -> Array:
        """(1,) s of the episode at an instant of the robot's clock; −1 while it has not begun."""
        return np.array([time - self._begun if np.isfinite(self._begun) else -1.0])

    def target(self, time: float) -> Array:
        """(3,) m, base frame, at an instant of the robot's clock; before the start it rests where it will begin."""
        return np.asarray(self.task.target(self.scenario, np.maximum(self.since_start(time), 0.0))[0])

    def shows(self, time: float) -> bool:
        """Whether there is a target to sense."""
        return bool(self.task.shown(self.scenario, self.since_start(time))[0])

    def measure(self, observation: Observation) -> Truth:
        """Judge one observation; call it once a step, in order."""
        now = observation.capture_time
        since = now - (self._begun if self._last is None else self._last)
        if self._last is None:
            self._progress.last = observation.state[None] if since <= 0 else self._progress.last
        view = view_of(observation.state)
        judged = self.task.evaluate(
            self._progress, self.scenario, self.since_start(now), view, np.array([max(since, 0.0)])
        )
        self._last = now
        reward = float(sum(float(term[0]) for term in judged.terms.values()))
        return Truth(self.target(now), float(judged.error[0]), reward, bool(self._progress.succeeded[0]))

    def camera(self, state: Array, now: float) -> tuple[Image, float]:
        """What the eye saw one latency ago.

        Args:
            state: (9,) measured now.
            now: s on the robot's clock.

        Returns:
            RGB image and the time of its capture.
        """
        if self._eye is None:
            self._eye = HeadCameraRenderer()
        self.note(state, now)
        captured, seen_from = self.seen(now)
        target = self.target(captured) if self.shows(captured) else None
        return self._eye.render(pose_from_vector(seen_from), target, self.looks), captured

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, 3) of the camera."""
        return (SIM_CAMERA.height, SIM_CAMERA.width, 3)

    def close(self) -> None:
        """Free the camera."""
        if self._eye:
            self._eye.close()
            self._eye = None


class GeometricPerception:
    """The task's features from the truth plus noise: as late, nearly as noisy, and a hundred times cheaper.

    Args:
        twin: knows where the target is.
    """

    def __init__(self, twin: SimWorld) -> None:
        self._twin = twin
        self.names = twin.task.features
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget the episode before; the noise follows from the twin's seed."""
        twin = self._twin
        self._senses = Senses(twin.task, 1)
        self._senses.reset(_ONE, twin.drawn, twin.looks.rows(1)["camera_turn"])

    def perceive(self, observation: Observation) -> Array:
        """(K,) features in the order of ``names``."""
        twin, now = self._twin, observation.capture_time
        twin.note(observation.state, now)
        captured, state = twin.seen(now, twin.task.period)
        times = twin.since_start(captured), twin.since_start(now)
        features = self._senses.sense_from(view_of(state), twin.scenario, *times, twin.keys)
        return np.asarray(features[0])


def view_of(state: Array) -> View:
    """A (9,) state as a batch of one."""
    pose = pose_from_vector(state)
    return View(state[None], pose[None, :3, :3], pose[None, :3, 3])
