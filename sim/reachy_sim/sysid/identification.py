"""Identification of a robot's nine motors from a recording: each parameter with a 95 % interval.

The model is ``Motors`` itself, so that both tiers of the simulator replay exactly what was fitted. Each joint is fitted
separately by least squares; a constant offset (sag, play, calibration) is fitted too and not reported as gain.
Try it: reachy-kit sysid --robot sim --out runs/sysid
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CONTROL_HZ, Array
from reachy_sim.dynamics.actuators import MAX_DELAY, Actuators
from reachy_sim.dynamics.joints import JOINTS
from reachy_sim.sysid.fit_uncertainty import doubts, evidence, standard_errors
from reachy_sim.sysid.motor_fit import grid_starts, refine
from reachy_sim.sysid.motor_model import HIGH, LOGS, LOW, NAMES, RATE, MotorModel, natural_units
from reachy_sim.sysid.motor_recording import MotorRecording

Z95 = 1.96
"""Standard errors on either side that hold 95 % of a normal distribution."""
_DECISIVE = 10.0
"""Twice the gain in log likelihood that a rate limit must bring; chance brings it once in 600 joints."""


@dataclass(frozen=True)
class IdentifiedMotors:
    """The nine motors of a robot, as identified."""

    actuators: Actuators
    """Best fit; the rate limit is infinite where the excitation did not reach it."""
    low: dict[str, Array]
    """Lower ends (9,) of the 95 % intervals, by name."""
    high: dict[str, Array]
    """Upper ends (9,), by name."""
    rate_at_least: Array
    """(9,) rad/s; a lower rate limit would fit significantly worse."""
    residual: Array
    """(9,) rad, root mean square of the model's error."""
    motion: Array
    """(9,) rad, standard deviation of the measurements, for comparison."""
    predicted: Array
    """(M, 9) rad, the fitted model at the times of the measurements, offset included."""

    def save(self, path: Path, details: dict[str, Any]) -> None:
        """Write the JSON that both tiers read; the intervals and the residual are stored beside the values."""
        ends = {
            name: [[_number(a), _number(b)] for a, b in zip(self.low[name], self.high[name], strict=True)]
            for name in NAMES
        }
        self.actuators.save(
            path,
            {
                **details,
                "intervals_95": ends,
                "rate_limit_at_least": self.rate_at_least.tolist(),
                "residual_rms": self.residual.tolist(),
                "motion_rms": self.motion.tolist(),
            },
        )


def identify_motors(
    recording: MotorRecording, *, delay: float | None = None, on_fit: Callable[[], None] = lambda: None
) -> IdentifiedMotors:
    """Fit the model to a recording.

    Args:
        recording: of an excitation.
        delay: s, where it is known; otherwise it is fitted like the other parameters.
        on_fit: called after each of the four stages: starts, fits without and with a rate limit, and the last fit.

    Raises:
        KitError: a joint did not move, or too little was recorded.
    """
    motion = np.std(recording.measured, axis=0) if len(recording.measured) else np.zeros(len(JOINTS))
    if np.sum(recording.steady) < 5 * CONTROL_HZ or (motion < 1e-3).any():
        still = [name for name, moved in zip(JOINTS, motion, strict=True) if moved < 1e-3]
        raise KitError(
            f"{', '.join(still)} did not move. Are the motors on, and nothing in the robot's way?"
            if still
            else "too little was recorded between stalls. Close other programs, or go nearer to the robot's network"
        )
    model = MotorModel(recording, delay)
    speed = np.abs(np.diff(recording.measured, axis=0) / np.diff(recording.captured)[:, None])
    fastest = np.percentile(speed, 99.5, axis=0)
    free_start, limited_start = grid_starts(model, fastest)
    on_fit()
    free = refine(model, free_start, parts=RATE)
    on_fit()
    limited = refine(model, limited_start, parts=len(NAMES))
    on_fit()
    free_errors, limited_errors = model.errors(free[None])[0], model.errors(limited[None])[0]
    has_limit = (evidence(limited_errors, free_errors) > _DECISIVE) & (limited[:, RATE] < np.log(1.1 * fastest))
    # Fit again with the prior on damping, weighted by the doubt that the remaining errors leave.
    free = refine(model, free, parts=RATE, doubt=doubts(model, free, RATE))
    if has_limit.any():
        limited = refine(model, limited, parts=len(NAMES), doubt=doubts(model, limited, len(NAMES)))
    on_fit()
    chosen = np.where(has_limit[:, None], limited, free)
    return _conclude(model, chosen, free, motion)


def _conclude(model: MotorModel, chosen: Array, free: Array, motion: Array) -> IdentifiedMotors:
    errors, slopes = model.slopes(chosen)
    at_least = _rate_at_least(model, free, errors)
    low, high = np.empty_like(chosen), np.empty_like(chosen)
    for joint in range(len(JOINTS)):
        limited = np.isfinite(chosen[joint, RATE])
        parts = len(NAMES) if limited else RATE
        spread = np.zeros(len(NAMES))
        spread[:parts] = Z95 * standard_errors(slopes[:, joint, :parts], errors[:, joint])
        low[joint], high[joint] = chosen[joint] - spread, chosen[joint] + spread
        if limited:
            at_least[joint] = np.exp(low[joint, RATE])
        else:
            low[joint, RATE], high[joint, RATE] = np.log(at_least[joint]), np.inf
    # Nothing beyond the bounds was tried: an interval that reaches them is open, or ends where physics ends it.
    low = np.where(low <= LOW + 1e-3, np.where(np.arange(len(NAMES)) < LOGS.start, 0.0, -np.inf), low)
    high = np.where(high >= HIGH - 1e-3, [MAX_DELAY, *[np.inf] * (len(NAMES) - 1)], high)
    offset = np.mean(model.positions(chosen[None])[:, 0] - model.recording.measured, axis=0)
    values = natural_units(chosen)
    return IdentifiedMotors(
        actuators=Actuators(**values),
        low=natural_units(low),
        high=natural_units(high),
        rate_at_least=at_least,
        residual=np.sqrt(np.mean(errors**2, axis=0)),
        motion=motion,
        predicted=model.positions(chosen[None])[:, 0] - offset,
    )


def _rate_at_least(model: MotorModel, free: Array, errors: Array) -> Array:
    """Highest rate limit (9,) rad/s that the motion contradicts, the other parameters kept."""
    path = model.positions(free[None])[:, 0]
    fastest = np.max(np.abs(np.diff(path, axis=0)) / np.diff(model.recording.captured)[:, None], axis=0)
    shares = np.linspace(0.3, 1.0, 36)
    candidates = np.repeat(free[None], len(shares), axis=0)
    candidates[..., RATE] = np.log(shares[:, None] * fastest)
    against = evidence(errors, model.errors(candidates)) > Z95**2
    highest = np.where(against, shares[:, None], 0.0).max(axis=0)
    return np.asarray(np.maximum(highest * fastest, np.exp(LOW[RATE])))


def _number(value: float) -> float | None:
    """Value for JSON, which cannot store infinity."""
    return float(value) if np.isfinite(value) else None
