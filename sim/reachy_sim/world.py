"""World of one robot: ground truth, camera image and perception, for the simulator and for a simulated daemon.

A headless daemon neither renders a camera nor has a ball. ``SimWorld`` keeps the task's scenario on the robot's own
clock, renders the head camera's image from the measured pose, and evaluates the same measured pose.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import CONTROL_HZ, Array, Image, Observation, Truth
from reachy_kit.runtime.perception.camera import SIM_CAMERA, PinholeCamera
from reachy_kit.runtime.perception.targets.target_kind import TargetPicture
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
_POSES = 32
"""Number of stored poses: more than the ticks of the longest latency and the slowest sense's period."""


@dataclass(frozen=True)
class Exposure:
    """What one frame of the head camera shows."""

    captured: float
    """Time of its capture, s on the robot's clock."""
    head_pose: Array
    """(4, 4) base ← head."""
    target: Array | None
    """(3,) m, base frame; None while it is hidden."""
    visuals: Visuals


class SimWorld:
    """Ground truth of one robot's task: the target, the head camera's image, error and reward.

    The episode of a seed equals the first episode of an environment of that seed.

    Args:
        variant: task and domain parameters.
        camera: size and focal length of the head camera.
        picture: the camera shows it in place of the ball; None shows the ball.
    """

    def __init__(
        self, variant: Variant, camera: PinholeCamera = SIM_CAMERA, picture: TargetPicture | None = None
    ) -> None:
        self.variant, self.task = variant, variant.task
        self._pinhole, self._picture = camera, picture
        self._renderer: HeadCameraRenderer | None = None
        self.reset(0)
        self._begin(0.0)

    def reset(self, seed: int) -> Array:
        """Draw the episode of a seed; returns the (9,) start pose."""
        keys = np.full(1, seed, dtype=np.uint64), np.zeros(1, dtype=np.uint64)
        self.keys = counter_rng.episode_keys(*keys)
        self.scenario = self.task.scenario(counter_rng.uniform(*keys, counter_rng.SCENARIO, len(self.task.spans)))
        self.sample = self.variant.domain.draw(counter_rng.uniform(*keys, counter_rng.DOMAIN, DRAWS))
        visuals = VISUAL_RANGES.get(self.variant.domain.visuals)
        uniforms = counter_rng.uniform(*keys, counter_rng.VISUALS, VISUAL_DRAWS)
        self.visuals = visuals.draw(uniforms) if visuals else Visuals()
        self._begin(np.inf)
        return np.asarray(self.scenario.start[0].copy())

    def start(self, time: float) -> None:
        """Begin the episode at ``time``, s on the robot's clock."""
        self._begin(time)

    def actuators(self) -> Actuators:
        """Return the motors of the episode's robot, (1, 9)."""
        return self.sample.actuators

    def _begin(self, time: float) -> None:
        self._begun = time
        self._last: float | None = None
        self._progress = self.task.begin(self.scenario.start)
        self._poses: deque[tuple[float, Array]] = deque(maxlen=_POSES)

    def append_pose(self, state: Array, time: float) -> None:
        """Append a (9,) pose measured at ``time``, for senses with latency; also between the observations."""
        if not self._poses or time > self._poses[-1][0]:
            self._poses.append((time, state))

    def latest_frame(self, now: float, period: float = 0.0) -> tuple[float, Array]:
        """Find the time of the latest frame's capture, and the pose from which it was taken.

        The pose is the nearest in time, not the newest before it: on a wall clock one frame is 39.9 ms old and the next
        40.1 ms. Before the first pose the robot is taken to have stood there.

        Args:
            now: s on the robot's clock.
            period: s between frames; 0 means a frame at any time.

        Returns:
            s on the robot's clock, and (9,).
        """
        captured = now - self.latency
        if period and np.isfinite(self._begun):
            captured = self._begun + period * np.floor((captured - self._begun) / period + 1e-6)
        first, state = self._poses[0]
        if captured < first - 0.5 / CONTROL_HZ:
            return captured, state
        return min(self._poses, key=lambda pose: abs(pose[0] - captured))

    @property
    def latency(self) -> float:
        """Time from exposure to the policy in this episode, s."""
        return float(self.sample.latency[0]) / CONTROL_HZ

    def since_start(self, time: float) -> Array:
        """Time (1,) s since the episode began, at ``time`` on the robot's clock; −1 before it begins."""
        return np.array([time - self._begun if np.isfinite(self._begun) else -1.0])

    def target(self, time: float) -> Array:
        """Position of the target, (3,) m, base frame, at ``time`` on the robot's clock; it rests before the start."""
        return np.asarray(self.task.target(self.scenario, np.maximum(self.since_start(time), 0.0))[0])

    def is_shown(self, time: float) -> bool:
        """Whether the target can be sensed."""
        return bool(self.task.shown(self.scenario, self.since_start(time))[0])

    def measure(self, observation: Observation) -> Truth:
        """Evaluate an observation; to be called once per step, in order."""
        now = observation.capture_time
        since = now - (self._begun if self._last is None else self._last)
        if self._last is None:
            self._progress.last = observation.state[None] if since <= 0 else self._progress.last
        view = view_of(observation.state)
        outcome = self.task.evaluate(
            self._progress, self.scenario, self.since_start(now), view, np.array([max(since, 0.0)])
        )
        self._last = now
        reward = float(sum(float(term[0]) for term in outcome.terms.values()))
        return Truth(self.target(now), float(outcome.error[0]), reward, bool(self._progress.succeeded[0]))

    def camera(self, state: Array, now: float) -> tuple[Image, float]:
        """Render the head camera's image of one latency ago.

        Args:
            state: (9,) measured now.
            now: s on the robot's clock.

        Returns:
            RGB image and the time of its capture.
        """
        exposure = self.expose(state, now)
        return self.render(exposure), exposure.captured

    def expose(self, state: Array, now: float, period: float = 0.0) -> Exposure:
        """What the head camera's latest frame shows, for ``render``.

        Args:
            state: (9,) measured now.
            now: s on the robot's clock.
            period: s between frames; 0 means a frame at any time.
        """
        self.append_pose(state, now)
        captured, pose = self.latest_frame(now, period)
        target = self.target(captured) if self.is_shown(captured) else None
        return Exposure(captured, pose_from_vector(pose), target, self.visuals)

    def render(self, exposure: Exposure) -> Image:
        """Render an image; any thread may do so, one at a time."""
        if self._renderer is None:
            self._renderer = HeadCameraRenderer(self._pinhole, self._picture)
        return self._renderer.render(exposure.head_pose, exposure.target, exposure.visuals)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (height, width, 3) of the camera's image."""
        return (self._pinhole.height, self._pinhole.width, 3)

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer:
            self._renderer.close()
            self._renderer = None


class GeometricPerception:
    """Perception from the ground truth with the senses' noise and latency, a hundred times cheaper than the detector.

    Args:
        world: ground truth.
    """

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self.names = world.task.features
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget the previous episode; the noise follows from the world's seed, not from this one."""
        world = self._world
        self._senses = Senses(world.task, 1)
        self._senses.reset(_ONE, world.sample, world.visuals.rows(1)["camera_turn"])

    def perceive(self, observation: Observation) -> Array:
        """Return the (K,) features in the order of ``names``."""
        world, now = self._world, observation.capture_time
        world.append_pose(observation.state, now)
        captured, state = world.latest_frame(now, world.task.period)
        times = world.since_start(captured), world.since_start(now)
        features = self._senses.sense_from(view_of(state), world.scenario, *times, world.keys)
        return np.asarray(features[0])


def view_of(state: Array) -> View:
    """View of a (9,) state, as a batch of one."""
    pose = pose_from_vector(state)
    return View(state[None], pose[None, :3, :3], pose[None, :3, 3])
