"""Base of the gaze tasks: the ball's motion, its sighting, error and reward.

The tasks themselves are in look_at.py and track.py; a person's way of following the ball is in follower.py.
"""

from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.geometry import CAMERA_IN_HEAD
from reachy_kit.runtime.interface import HEAD, Array
from reachy_kit.runtime.perception.camera import FOCAL_OVER_WIDTH, SIM_CAMERA
from reachy_sim.dynamics.model import BALL_RADIUS
from reachy_sim.sensing_noise import SensingNoise
from reachy_sim.tasks.task import Bools, Progress, Scenario, Span, Task, View

CAMERA_OVER_BALL = 0.17
"""Largest depth of a ball below the neutral camera, m: the camera is 0.228 m above the table, where a ball rests."""
_NOISE = SensingNoise()


@dataclass
class GazeScenario(Scenario):
    """Episodes of a ball that appears, swings and may be hidden periodically."""

    anchor: Array
    """(N, 2) rad, centre of the swing: left of straight ahead, below the horizon, from the neutral camera."""
    distance: Array
    """(N,) m, distance from the neutral camera."""
    amplitude: Array
    """(N, 2) rad, amplitude of the swing, left and down."""
    frequency: Array
    """(N, 2) Hz, frequency of the swing."""
    phase: Array
    """(N, 2) rad, phase of the swing."""
    appears: Array
    """(N,) s, time from the start to the ball's appearance."""
    lowest: Array
    """(N,) rad below the horizon at which the ball rests on the table."""
    hiding: Array
    """(N, 3) s: how long it is hidden, how long from one hiding to the next, and when the first begins."""


@dataclass(frozen=True)
class GazeTask(Task):
    """Look at a ball."""

    target_offset: tuple[Span, Span]
    """Ranges of the ball's offset from the gaze at the start, left and down, rad. The camera's view is ±43° × ±28°."""
    distance: Span
    """m."""
    amplitude: tuple[Span, Span]
    """Ranges of the swing's amplitude, left and down, rad."""
    frequency: Span
    """Hz."""
    appears: Span
    """Range of the time of appearance, s; until then the robot should keep still."""
    hidden: Span = (0.0, 0.0)
    """Range of the time for which the ball is hidden, s; 0: never."""
    between: Span = (2.0, 2.0)
    """Range of the time from one hiding to the next, s."""

    @property
    def own_spans(self) -> tuple[Span, ...]:
        """Ranges of offset, distance, swing, appearance and hiding."""
        turn = (0.0, 2 * np.pi)
        return (
            *self.target_offset, self.distance, *self.amplitude, self.frequency, self.frequency, turn, turn,
            self.appears, self.hidden, self.between, (0.5, 1.5),
        )  # fmt: skip

    def build(self, start: Array, drawn: Array) -> GazeScenario:
        """Build episodes from drawn numbers."""
        begins = start[:, [5, 4]] + drawn[:, :2]  # at any phase of its swing
        amplitude, phase = drawn[:, 3:5], drawn[:, 7:9]
        return GazeScenario(
            start=start,
            distance=drawn[:, 2],
            amplitude=amplitude,
            frequency=drawn[:, 5:7],
            phase=phase,
            appears=drawn[:, 9],
            anchor=begins - amplitude * np.sin(phase),
            lowest=np.arcsin(np.minimum(CAMERA_OVER_BALL / drawn[:, 2], 1.0)),
            hiding=drawn[:, 10:13],
        )

    def target(self, scenario: Scenario, time: Array) -> Array:
        """Position of the ball; before the start it rests at its first position."""
        assert isinstance(scenario, GazeScenario)
        angle = scenario.frequency * (2 * np.pi * np.maximum(time, 0.0))[:, None] + scenario.phase
        left, down = (scenario.anchor + scenario.amplitude * np.sin(angle)).T
        down = np.minimum(down, scenario.lowest)
        level, place = np.cos(down), np.empty((len(left), 3))
        place[:, 0], place[:, 1], place[:, 2] = level * np.cos(left), level * np.sin(left), -np.sin(down)
        place *= scenario.distance[:, None]
        place += CAMERA_IN_HEAD
        return place

    def shown(self, scenario: Scenario, time: Array) -> Bools:
        """Whether the ball has appeared and is not hidden."""
        assert isinstance(scenario, GazeScenario)
        out = time >= scenario.appears
        if self.hidden[1] > 0:
            length, between, first = scenario.hiding.T
            since = time - scenario.appears - first
            out &= (since < 0) | (since % between >= length)
        return np.asarray(out)

    def sighting(self, scenario: Scenario, time: Array, view: View) -> tuple[Array, Bools]:
        """Bearing right and below, and apparent radius."""
        right, below, ahead = in_camera(view, self.target(scenario, time))
        flat = np.hypot(right, ahead)
        size = np.arcsin(np.minimum(BALL_RADIUS / np.hypot(flat, below), 1.0))
        values = np.stack([np.arctan2(right, ahead), np.arctan2(below, flat), size], axis=-1)
        wide, high = 0.5 / FOCAL_OVER_WIDTH, 0.5 / FOCAL_OVER_WIDTH * SIM_CAMERA.height / SIM_CAMERA.width
        inside = (ahead > 0) & (np.abs(right) <= wide * ahead) & (np.abs(below) <= high * ahead)
        return values, inside & self.shown(scenario, time)

    def noisy(self, values: Array, normals: Array, scale: Array) -> Array:
        """Values with the detector's noise, fitted on rendered images, plus an allowance for real images."""
        bearing = _NOISE.bearing * scale
        values[:, 0] += bearing * normals[:, 0]
        values[:, 1] += bearing * normals[:, 1]
        values[:, 2] *= np.maximum(1 + _NOISE.size * scale * normals[:, 2], 0.0)
        return values

    def error(self, scenario: Scenario, time: Array, view: View, progress: Progress, elapsed: Array) -> Array:
        """Gaze error: angle between the camera's optical axis and the line to the ball."""
        right, below, ahead = in_camera(view, self.target(scenario, time))
        return np.asarray(np.arctan2(np.hypot(right, below), ahead))

    def reward_terms(self, error: Array, view: View, progress: Progress, elapsed: Array) -> dict[str, Array]:
        """``gaze``: near the ball. ``calm``: no faster than needed."""
        turned = (view.state - progress.last)[:, HEAD][:, 3:]
        speed = np.sqrt(turned[:, 0] ** 2 + turned[:, 1] ** 2 + turned[:, 2] ** 2)
        speed = np.where(elapsed > 0, speed / np.where(elapsed > 0, elapsed, 1.0), 0.0)
        return {"gaze": np.exp(-((error / (2 * self.tolerance)) ** 2)), "calm": -0.02 * speed**2}


def in_camera(view: View, target: Array) -> tuple[Array, Array, Array]:
    """Target in the camera frame, (N,) m each, right, below and ahead: ``target_in_camera`` without 4 × 4 matrices."""
    x, y, z = (target - view.position).T
    turn = view.rotation
    ahead = turn[:, 0, 0] * x + turn[:, 1, 0] * y + turn[:, 2, 0] * z - CAMERA_IN_HEAD[0]
    left = turn[:, 0, 1] * x + turn[:, 1, 1] * y + turn[:, 2, 1] * z - CAMERA_IN_HEAD[1]
    above = turn[:, 0, 2] * x + turn[:, 1, 2] * y + turn[:, 2, 2] * z - CAMERA_IN_HEAD[2]
    return -left, -above, ahead
