"""The world around a robot without one: ground truth, camera and perception for the simulator and a simulated daemon.

A headless daemon renders no camera and has no ball. The twin holds the task's scenario on the robot's own clock, draws
what the eye would see from the measured pose, and judges the same measured pose.
"""

from collections import deque

import numpy as np

from reachy_kit.geometry import bearing, gaze_error, pose_from_vector, target_in_camera
from reachy_kit.interface import HEAD, Array, Image, Observation, Truth
from reachy_kit.perception.camera import SIM_CAMERA
from reachy_kit.perception.target import TARGET_FEATURES, TargetMemory
from reachy_sim.model import BALL_RADIUS
from reachy_sim.render import EyeCamera
from reachy_sim.sensing_noise import SensingNoise
from reachy_sim.tasks.gaze import GazeTask, Scenario

CAMERA_LATENCY = 0.04
"""s from exposure to the policy: one frame at 25 Hz, what the robot's 30 Hz stream and the transfer take at best."""


class Twin:
    """World of one robot: where the target is, what the eye sees, how well the task goes.

    Args:
        task: what is to be done.
    """

    def __init__(self, task: GazeTask) -> None:
        self.task = task
        self._scenario: Scenario = task.reset(np.zeros(1, dtype=np.int64))
        self._eye: EyeCamera | None = None
        self._begun = 0.0
        self._begin(0.0)

    def reset(self, seed: int) -> Array:
        """Draw the episode of a seed; returns the (9,) start pose."""
        self._scenario = self.task.reset(np.array([seed], dtype=np.int64))
        self._begin(np.inf)
        return self._scenario.start[0].copy()

    def start(self, time: float) -> None:
        """The target begins to move at this instant of the robot's clock."""
        self._begin(time)

    def _begin(self, time: float) -> None:
        self._begun = time
        self._held = np.zeros(1)
        self._success = False
        self._last: Observation | None = None
        self._poses: deque[tuple[float, Array]] = deque(maxlen=16)

    def target(self, time: float) -> Array:
        """(3,) m, base frame, at an instant of the robot's clock; before the start it rests where it will begin."""
        elapsed = max(time - self._begun, 0.0)
        return self.task.target(self._scenario, np.array([elapsed]))[0]

    def shows(self, time: float) -> bool:
        """Whether the target is out of hiding."""
        return bool(self.task.shown(self._scenario, np.array([time - self._begun]))[0])

    def measure(self, observation: Observation) -> Truth:
        """Judge one observation; call it once a step, in order."""
        now, target = observation.capture_time, self.target(observation.capture_time)
        error = gaze_error(pose_from_vector(observation.state), target)
        last = self._last
        elapsed = now - (last.capture_time if last else self._begun)
        turned = observation.state[HEAD][3:] - last.state[HEAD][3:] if last else np.zeros(3)
        speed = np.linalg.norm(turned) / elapsed if elapsed > 0 else 0.0
        self._held = self.task.held(self._held, error[None], elapsed)
        self._success = self._success or bool(self._held[0] >= self.task.hold - 1e-9)
        self._last = observation
        terms = self.task.reward_terms(error, np.asarray(speed))
        return Truth(target, float(error), float(sum(terms.values())), self._success)

    def camera(self, state: Array, now: float) -> tuple[Image, float]:
        """What the eye saw one latency ago.

        Args:
            state: (9,) measured now.
            now: s on the robot's clock.

        Returns:
            RGB image and the time of its capture.
        """
        if self._eye is None:
            self._eye = EyeCamera()
        captured, seen_from = delayed(self._poses, (now, state))
        target = self.target(captured) if self.shows(captured) else None
        return self._eye.render(pose_from_vector(seen_from), target), captured

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
    """The detector's features from the truth plus noise: as late, nearly as noisy, and a hundred times cheaper.

    Args:
        twin: knows where the target is.
        noise: how wrong to be.
    """

    names = TARGET_FEATURES

    def __init__(self, twin: Twin, noise: SensingNoise | None = None) -> None:
        self._twin = twin
        self._noise = noise or SensingNoise()
        self._memory = TargetMemory()
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget the episode before; the noise starts from the seed."""
        self._rng = np.random.Generator(np.random.Philox(key=[seed, 1]))
        self._memory.reset()
        self._poses: deque[tuple[float, Array]] = deque(maxlen=16)

    def perceive(self, observation: Observation) -> Array:
        """(5,) features in the order of ``TARGET_FEATURES``."""
        captured, state = delayed(self._poses, (observation.capture_time, observation.state))
        in_camera = target_in_camera(pose_from_vector(state), self._twin.target(captured))
        noise, drawn = self._noise, self._rng.standard_normal(3)
        missed = self._rng.random() < noise.missed
        sighting = None
        if self._twin.shows(captured) and SIM_CAMERA.sees(in_camera) and not missed:
            size = np.arcsin(BALL_RADIUS / np.linalg.norm(in_camera)) * (1 + noise.size * drawn[2])
            sighting = np.array([*(bearing(in_camera) + noise.bearing * drawn[:2]), size])
        return self._memory.update(sighting, captured, observation.capture_time)


def delayed(history: deque[tuple[float, Array]], latest: tuple[float, Array]) -> tuple[float, Array]:
    """Append the latest (time, state); returns the one whose age is nearest to the camera's latency.

    The nearest, not the newest old enough: on a wall clock one frame is 39.9 ms old and the next 40.1.
    """
    history.append(latest)
    return min(history, key=lambda entry: abs(latest[0] - entry[0] - CAMERA_LATENCY))
