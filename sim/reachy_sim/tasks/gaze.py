"""What the gaze tasks share: where the target goes, how well it is looked at, and a person's way of following it.

A task is a frozen dataclass (look_at.py, track.py); everything about it is numpy over a batch of episodes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from reachy_kit.geometry import CAMERA_IN_HEAD
from reachy_kit.interface import BODY_YAW, NEUTRAL, PITCH, YAW, Array

type Span = tuple[float, float]

EYE_OVER_BALL = 0.17
"""m, how far a ball may lie below the neutral eye, which is 0.228 m above the table: it rests on the table at most."""


@dataclass(frozen=True)
class Scenario:
    """One drawn episode, or a batch of them."""

    start: Array
    """(..., 9) pose from which the robot starts."""
    centre: Array
    """(..., 2) rad: left of straight ahead, below the horizon, seen from the neutral eye."""
    distance: Array
    """(...,) m from the neutral eye."""
    amplitude: Array
    """(..., 2) rad of the target's swing, left and down."""
    frequency: Array
    """(..., 2) Hz."""
    phase: Array
    """(..., 2) rad."""
    appears: Array
    """(...,) s after the start at which the target comes out of hiding."""


@dataclass(frozen=True)
class GazeTask:
    """Look at a target: reset, target, reward and success."""

    name: str
    instruction: str
    """The task in words, as the dataset stores it."""
    seconds: float
    """Length of an episode."""
    tolerance: float
    """rad; a gaze error below it counts as looking."""
    hold: float
    """s of looking that make a success."""
    hold_mode: Literal["continuous", "total"]
    """Whether looking away starts the count anew."""
    target_offset: tuple[Span, Span]
    """rad: left of, and below, where the head looks at the start; inside the camera's view of ±43° × ±28°."""
    distance: Span
    """m."""
    amplitude: tuple[Span, Span]
    """rad, left and down."""
    frequency: Span
    """Hz."""
    appears: Span
    """s; until then there is nothing to see, and a robot that sees nothing should keep still."""

    def reset(self, seeds: npt.NDArray[np.int64]) -> Scenario:
        """Draw episodes, each from its own seed alone, so that every policy meets the same ones.

        Args:
            seeds: (N,).
        """
        spans = np.array([
            (-0.45, 0.45), (-0.2, 0.2), (-0.15, 0.15),  # rad: the head's yaw and pitch, and the body's yaw against it
            *self.target_offset, self.distance, *self.amplitude, self.frequency, self.frequency,
            (0.0, 2 * np.pi), (0.0, 2 * np.pi), self.appears,
        ])  # fmt: skip
        low, high = spans.T
        draws = [np.random.Generator(np.random.Philox(key=int(seed))).random(len(spans)) for seed in seeds]
        drawn = low + (high - low) * np.stack(draws)
        start = np.tile(NEUTRAL, (len(seeds), 1))
        start[:, YAW] = drawn[:, 0]
        start[:, PITCH] = drawn[:, 1]
        start[:, BODY_YAW] = drawn[:, 0] + drawn[:, 2]
        return Scenario(
            start=start,
            centre=np.stack([drawn[:, 0] + drawn[:, 3], drawn[:, 1] + drawn[:, 4]], axis=-1),
            distance=drawn[:, 5],
            amplitude=drawn[:, 6:8],
            frequency=drawn[:, 8:10],
            phase=drawn[:, 10:12],
            appears=drawn[:, 12],
        )

    def target(self, scenario: Scenario, time: Array) -> Array:
        """Where the target is.

        Args:
            scenario: batch of episodes.
            time: (...,) s since the episode began.

        Returns:
            (..., 3) m, base frame.
        """
        swing = np.sin(2 * np.pi * scenario.frequency * np.asarray(time)[..., None] + scenario.phase)
        left, down = np.moveaxis(scenario.centre + scenario.amplitude * (swing - np.sin(scenario.phase)), -1, 0)
        down = np.minimum(down, np.arcsin(np.minimum(EYE_OVER_BALL / scenario.distance, 1.0)))
        direction = np.stack([np.cos(down) * np.cos(left), np.cos(down) * np.sin(left), -np.sin(down)], axis=-1)
        return np.asarray(CAMERA_IN_HEAD + scenario.distance[..., None] * direction)

    def shown(self, scenario: Scenario, time: Array) -> npt.NDArray[np.bool_]:
        """(...,) whether the target is out of hiding at (...,) s since the episode began."""
        return np.asarray(time >= scenario.appears)

    def reward_terms(self, gaze_error: Array, speed: Array) -> dict[str, Array]:
        """Named, weighted terms; their sum is the reward, 1 at best.

        Args:
            gaze_error: (...,) rad.
            speed: (...,) rad/s at which the head turns.
        """
        return {
            "gaze": np.exp(-((gaze_error / (2 * self.tolerance)) ** 2)),
            "calm": -0.02 * speed**2,
        }

    def held(self, held: Array, gaze_error: Array, elapsed: float) -> Array:
        """(...,) s of looking after a step of ``elapsed`` s; a success once it reaches ``hold``."""
        looking = gaze_error <= self.tolerance
        kept = held if self.hold_mode == "total" else np.where(looking, held, 0.0)
        return np.asarray(kept + np.where(looking, elapsed, 0.0))
