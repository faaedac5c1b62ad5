"""Excitation: motion gentle enough for a classroom, and rich enough to identify a robot's motors.

Chirps show how a joint follows slow and quick motion; steps show how late it starts and how fast it can move. Body and
antennas come first, then the head one axis after another: each axis moves all six legs. All targets pass the limiter.
Try it: reachy-kit sysid --robot sim --out runs/sysid
"""

from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, CONTROL_HZ, NEUTRAL, YAW, Array
from reachy_kit.runtime.safety import CLASSROOM, LimitsProfile

RIGHT, LEFT = range(ANTENNAS.start, ANTENNAS.stop)
HEAD_AXES = (3, 4, 5, 2, 0, 1)
"""Order of the head's axes: the rotations first, because they move the legs furthest if a person stops early."""


@dataclass(frozen=True)
class ExcitationConfig:
    """Amplitudes, frequencies and times of the excitation."""

    lowest: float = 0.2
    """Frequency at which a chirp begins, Hz."""
    highest: float = 4.0
    """Frequency at which a chirp ends, Hz: twice the bandwidth that is reported for an XL330 under load."""
    body_seconds: float = 7.0
    """Duration of the chirp of the body and, at the same time, of the antennas, s."""
    head_seconds: float = 2.8
    """Duration of the chirp of each of the head's six axes, s."""
    hold: float = 0.5
    """Time for which a step is held, s; the slowest joint to be identified (1.5 Hz) has then moved 95 % of the step."""
    chirp: tuple[float, ...] = (0.01, 0.01, 0.012, 0.2, 0.2, 0.25, 0.5, 0.6, 0.6)
    """Amplitudes, m or rad, in the order of ``ACTION_NAMES``; they shrink at high frequencies to what the limits
    allow."""
    step: tuple[float, ...] = (0.012, 0.012, 0.015, 0.25, 0.3, 0.4, 0.5, 0.8, 0.8)
    """Height of the steps up and down from neutral, m or rad."""
    share: float = 0.7
    """Share of the limiter's speed and acceleration that chirps use. Steps use all of it, to find the rate limit."""


def excitation_targets(config: ExcitationConfig | None = None, profile: LimitsProfile = CLASSROOM) -> Array:
    """Build the targets of the excitation.

    Args:
        config: amplitudes, frequencies and times.
        profile: the limits that chirps stay within.

    Returns:
        (T, 9) targets at 50 Hz, m and rad in the base frame; they start and end at neutral.
    """
    config = config or ExcitationConfig()
    hold = np.zeros((round(config.hold * CONTROL_HZ), len(NEUTRAL)))
    body = np.zeros((round(config.body_seconds * CONTROL_HZ), len(NEUTRAL)))
    for axis in (BODY_YAW, RIGHT, LEFT):
        body[:, axis] = _chirp(axis, len(body), config, profile)
    body[:, LEFT] = body[::-1, LEFT]  # reversed in time, so that the two antennas differ
    parts = [hold, body, *_steps((BODY_YAW, RIGHT, LEFT), hold, config)]
    for axis in HEAD_AXES:
        sweep = np.zeros((round(config.head_seconds * CONTROL_HZ), len(NEUTRAL)))
        sweep[:, axis] = _chirp(axis, len(sweep), config, profile)
        parts += [sweep, *_steps((axis,), hold, config)]
    targets = np.concatenate([*parts, hold])
    # The head turns with the body: otherwise the legs would turn against it, out of their reach.
    targets[:, YAW] += targets[:, BODY_YAW]
    return np.asarray(NEUTRAL + targets)


def _chirp(axis: int, ticks: int, config: ExcitationConfig, profile: LimitsProfile) -> Array:
    """Logarithmic sweep (ticks,) m or rad, smaller where the limiter would change it."""
    elapsed = np.arange(ticks) / CONTROL_HZ
    growth = np.log(config.highest / config.lowest) / (ticks / CONTROL_HZ)
    frequency = config.lowest * np.exp(growth * elapsed)
    phase = 2 * np.pi * config.lowest * np.expm1(growth * elapsed) / growth
    omega = 2 * np.pi * frequency
    amplitude = np.minimum(
        config.share * profile.speed[axis] / omega, config.share * profile.acceleration[axis] / omega**2
    )
    return np.asarray(np.minimum(config.chirp[axis], amplitude) * np.sin(phase))


def _steps(axes: tuple[int, ...], hold: Array, config: ExcitationConfig) -> list[Array]:
    """Steps up, down and back to neutral; the left antenna moves against the right."""
    up = hold.copy()
    for axis in axes:
        up[:, axis] = config.step[axis] * (-1 if axis == LEFT else 1)
    return [up, -up, hold]
