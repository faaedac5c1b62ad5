"""Model that is fitted to a recording: ``Motors`` at the times of commands and measurements, with their slopes."""

import numpy as np

from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL, Array
from reachy_sim.dynamics.actuators import MAX_DELAY, Actuators, Motors
from reachy_sim.dynamics.joints import JOINTS, joint_targets
from reachy_sim.sysid.motor_recording import MotorRecording

NAMES = ("delay", "gain", "backlash", "bandwidth", "damping", "rate_limit")
RATE = NAMES.index("rate_limit")
DAMPING = NAMES.index("damping")
LOGS = slice(NAMES.index("bandwidth"), None)
"""Columns that are fitted as logarithms."""
FINE_HZ = 4 * CONTROL_HZ
"""Ticks per second of the model where the robot's clock is a real one: commands and measurements fall between ticks."""
LOW: Array = np.array([0.0, 0.05, 0.0, *np.log([0.3, 0.1, 0.05])])
HIGH: Array = np.array([MAX_DELAY, 2.0, 0.2, *np.log([25.0, 2.0, 50.0])])
"""Bounds of the fit. 25 Hz is half the sampling rate: a quicker response looks the same. Above a damping of 2 only the
slower of the two poles shows, and damping and bandwidth could not be separated."""
NUDGE = 1e-5
"""Step of the parameters, s or a share, for numerical derivatives."""
_NEUTRAL: Array = joint_targets(NEUTRAL)


class MotorModel:
    """``Motors`` driven by the recorded commands and read at the times of the measurements.

    A batch holds candidate parameters, (9, 6) each: a row per joint, a column per name in ``NAMES``.

    Args:
        recording: commands and measurements.
        delay: s, where it is known.
    """

    def __init__(self, recording: MotorRecording, delay: float | None = None) -> None:
        sent, self.recording = recording.sent, recording
        self.low, self.high = LOW.copy(), HIGH.copy()
        if delay is not None:
            self.low[0], self.high[0] = max(delay - NUDGE, 0.0), delay + NUDGE
        self._known_delay = delay is not None
        spacing = np.diff(sent) * CONTROL_HZ
        self.hz = CONTROL_HZ if np.abs(spacing - 1).max() < 1e-3 else FINE_HZ
        slots = np.round((sent - sent[0]) * self.hz).astype(np.int64)
        newest = np.searchsorted(slots, np.arange(slots[-1] + 2 * self.hz // CONTROL_HZ), side="right") - 1
        self._commands = recording.commands[newest]
        place = np.clip((recording.captured - sent[0]) * self.hz, 0.0, len(newest) - 1e-6)
        place = np.where(np.abs(place - np.round(place)) < 1e-3, np.round(place), place)
        self._before = np.minimum(place.astype(np.int64), len(newest) - 1)
        self._steady = recording.steady
        self._share = (place - self._before)[:, None, None]

    def positions(self, candidates: Array) -> Array:
        """Predict (M, C, 9) rad at the times of the measurements for (C, 9, 6) parameters."""
        count = len(candidates)
        table = {name: candidates[..., index].copy() for index, name in enumerate(NAMES)}
        for name in NAMES[LOGS]:
            table[name] = np.exp(table[name])
        motors = Motors(count, hz=self.hz)
        actuators = Actuators(**table)
        # Before the recording it stood where the first command holds it.
        rest = _NEUTRAL + table["gain"] * (self._commands[0] - _NEUTRAL)
        motors.reset(np.arange(count), actuators, rest)
        path = np.empty((len(self._commands) + 1, count, len(JOINTS)))
        path[0] = rest
        for tick, command in enumerate(self._commands):
            path[tick + 1] = motors.step(command)
        return np.asarray(path[self._before] * (1 - self._share) + path[self._before + 1] * self._share)

    def errors(self, candidates: Array) -> Array:
        """Errors (C, K, 9) rad, model − measured, of (C, 9, 6) parameters, away from stalls and without their mean."""
        off = np.moveaxis(self.positions(candidates) - self.recording.measured[:, None], 1, 0)[:, self._steady]
        return np.asarray(off - off.mean(axis=1, keepdims=True))

    def slopes(self, parameters: Array) -> tuple[Array, Array]:
        """Errors (K, 9) rad of (9, 6) parameters, and their derivatives (K, 9, 6)."""
        nudged = np.repeat(parameters[None], len(NAMES) + 1, axis=0)
        # At the upper bound the step goes inwards, because parameters beyond it are not allowed.
        steps = np.where(parameters + NUDGE > HIGH, -NUDGE, NUDGE)
        for index in range(len(NAMES)):
            nudged[index + 1, :, index] += steps[:, index]
        errors = self.errors(nudged)
        slopes = np.moveaxis(errors[1:] - errors[0], 0, -1) / steps
        if self._known_delay:
            slopes[..., 0] = 0.0
        return errors[0], slopes


def natural_units(parameters: Array) -> dict[str, Array]:
    """Convert (9, 6) parameters to (9,) in s, Hz and rad/s, by name."""
    return {
        name: np.exp(parameters[:, index]) if index >= LOGS.start else parameters[:, index].copy()
        for index, name in enumerate(NAMES)
    }
