"""What a robot's nine motors are like, from a recording: each number of the model, with a 95 % interval.

The model is ``Motors`` itself, so what is found is what both tiers of the simulator replay. Each joint is fitted for
itself by least squares; a constant offset (sag, play, calibration) is fitted away and not reported as gain.

Errors of a model follow one another and would make naive intervals far too narrow: these count what follows within half
a second as told before (``_standard_errors``). They say how well the data determine this model's numbers, not that the
model is true.
Try it: reachy-kit sysid --robot sim --out runs/sysid
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL, Array
from reachy_sim.dynamics.actuators import MAX_DELAY, Actuators, Motors
from reachy_sim.dynamics.joints import JOINTS, joint_targets
from reachy_sim.sysid.excitation import Recording

NAMES = ("delay", "gain", "backlash", "bandwidth", "damping", "rate_limit")
RATE = NAMES.index("rate_limit")
_LOGS = slice(NAMES.index("bandwidth"), None)
"""These are fitted as logarithms."""
FINE_HZ = 4 * CONTROL_HZ
"""Ticks a second of the model where the robot's clock is a real one: commands and measurements fall between its own."""
Z95 = 1.96
"""Standard errors either side that hold 95 % of a normal distribution."""
_NEUTRAL: Array = joint_targets(NEUTRAL)
_LOW: Array = np.array([0.0, 0.05, 0.0, *np.log([0.3, 0.1, 0.05])])
_HIGH: Array = np.array([MAX_DELAY, 2.0, 0.2, *np.log([25.0, 2.0, 50.0])])
"""25 Hz is half the sampling rate: what is quicker looks the same. Above a damping of 2 only the slower of the two
poles shows, and damping and bandwidth could not be told apart."""
_DAMPING = NAMES.index("damping")
_KNOWN_DAMPING = 0.5
"""Where the response is too quick to tell delay, bandwidth and damping apart, intervals rest on what servos are like:
standard deviation of the logarithm of their damping. Data that do tell them apart outweigh it."""
_NUDGE = 1e-5
"""s, or share, by which parameters are moved to see what changes."""
_STARTS = {
    "delay": np.linspace(0.0, 0.1, 6),
    "bandwidth": np.geomspace(1.0, 20.0, 8),
    "damping": np.array([0.5, 0.9, 1.5]),
}
_LEAST_SQUARE = 1e-4**2
"""rad²; differences below a tenth of a milliradian, a fifteenth of the motors' encoder step, decide nothing."""
_DECISIVE = 10.0
"""Twice the gain in log likelihood that a rate limit must bring: by chance it does so once in 600 joints."""
_MEMORY = 0.5
"""s over which errors are taken to follow one another."""


@dataclass(frozen=True)
class Identified:
    """The nine motors of a robot."""

    actuators: Actuators
    """Best fit; the rate limit is infinite where the excitation did not reach it."""
    low: dict[str, Array]
    """Name → (9,) lower end of the 95 % interval."""
    high: dict[str, Array]
    """Name → (9,) upper end."""
    rate_at_least: Array
    """(9,) rad/s; a lower rate limit would fit significantly worse."""
    residual: Array
    """(9,) rad, root mean square of what the model leaves unexplained."""
    motion: Array
    """(9,) rad, standard deviation of what was measured, to compare."""
    predicted: Array
    """(M, 9) rad, the fitted model at the instants of the measurements, offset included."""

    def save(self, path: Path, details: dict[str, Any]) -> None:
        """Write the JSON that both tiers read; the intervals and the residual stand beside the values."""
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


def identify(
    recording: Recording, *, delay: float | None = None, on_fit: Callable[[], None] = lambda: None
) -> Identified:
    """Fit the model to a recording.

    Args:
        recording: of an excitation.
        delay: s, where it is known; else it is fitted like the rest.
        on_fit: told after each of the four stages: starts, fits without and with a rate limit, and the last one.

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
    model = _Model(recording, delay)
    speed = np.abs(np.diff(recording.measured, axis=0) / np.diff(recording.captured)[:, None])
    fastest = np.percentile(speed, 99.5, axis=0)
    free_start, limited_start = _starts(model, fastest)
    on_fit()
    free = _refine(model, free_start, parts=RATE)
    on_fit()
    limited = _refine(model, limited_start, parts=len(NAMES))
    on_fit()
    free_errors, limited_errors = model.errors(free[None])[0], model.errors(limited[None])[0]
    has_limit = (_evidence(limited_errors, free_errors) > _DECISIVE) & (limited[:, RATE] < np.log(1.1 * fastest))
    # Once more with what is known of damping, which counts as much as the errors that are left give room for.
    free = _refine(model, free, parts=RATE, doubt=_doubts(model, free, RATE))
    if has_limit.any():
        limited = _refine(model, limited, parts=len(NAMES), doubt=_doubts(model, limited, len(NAMES)))
    on_fit()
    chosen = np.where(has_limit[:, None], limited, free)
    return _conclude(model, chosen, free, motion)


class _Model:
    """The motors, driven by what was commanded and looked at when it was measured. Rows of a batch are candidates."""

    def __init__(self, recording: Recording, delay: float | None = None) -> None:
        sent, self.recording = recording.sent, recording
        self.low, self.high = _LOW.copy(), _HIGH.copy()
        if delay is not None:
            self.low[0], self.high[0] = max(delay - _NUDGE, 0.0), delay + _NUDGE
        self._known_delay = delay is not None
        spacing = np.diff(sent) * CONTROL_HZ
        self.hz = CONTROL_HZ if np.abs(spacing - 1).max() < 1e-3 else FINE_HZ
        slots = np.round((sent - sent[0]) * self.hz).astype(np.int64)
        newest = np.searchsorted(slots, np.arange(slots[-1] + 2 * self.hz // CONTROL_HZ), side="right") - 1
        self._told = recording.commands[newest]
        place = np.clip((recording.captured - sent[0]) * self.hz, 0.0, len(newest) - 1e-6)
        place = np.where(np.abs(place - np.round(place)) < 1e-3, np.round(place), place)
        self._before = np.minimum(place.astype(np.int64), len(newest) - 1)
        self._steady = recording.steady
        self._share = (place - self._before)[:, None, None]

    def positions(self, candidates: Array) -> Array:
        """(C, 9, 6) parameters → (M, C, 9) rad at the instants of the measurements."""
        count = len(candidates)
        table = {name: candidates[..., index].copy() for index, name in enumerate(NAMES)}
        for name in NAMES[_LOGS]:
            table[name] = np.exp(table[name])
        motors = Motors(count, hz=self.hz)
        actuators = Actuators(**table)
        # It has stood where the first command holds it.
        rest = _NEUTRAL + table["gain"] * (self._told[0] - _NEUTRAL)
        motors.reset(np.arange(count), actuators, rest)
        path = np.empty((len(self._told) + 1, count, len(JOINTS)))
        path[0] = rest
        for tick, told in enumerate(self._told):
            path[tick + 1] = motors.step(told)
        return np.asarray(path[self._before] * (1 - self._share) + path[self._before + 1] * self._share)

    def errors(self, candidates: Array) -> Array:
        """(C, 9, 6) parameters → (C, K, 9) rad, model − measured where no stall disturbs, freed of their mean."""
        off = np.moveaxis(self.positions(candidates) - self.recording.measured[:, None], 1, 0)[:, self._steady]
        return np.asarray(off - off.mean(axis=1, keepdims=True))

    def slopes(self, parameters: Array) -> tuple[Array, Array]:
        """(9, 6) parameters → (K, 9) rad errors, (K, 9, 6) their derivatives."""
        nudged = np.repeat(parameters[None], len(NAMES) + 1, axis=0)
        # Inwards at the upper bound, where outwards would not be allowed.
        steps = np.where(parameters + _NUDGE > _HIGH, -_NUDGE, _NUDGE)
        for index in range(len(NAMES)):
            nudged[index + 1, :, index] += steps[:, index]
        errors = self.errors(nudged)
        slopes = np.moveaxis(errors[1:] - errors[0], 0, -1) / steps
        if self._known_delay:
            slopes[..., 0] = 0.0
        return errors[0], slopes


def _starts(model: _Model, fastest: Array) -> tuple[Array, Array]:
    """(9, 6) each: the best of a coarse grid without a rate limit, and with one just below the fastest motion seen."""
    grid = np.stack([one.ravel() for one in np.meshgrid(*_STARTS.values(), indexing="ij")], axis=-1)
    found = []
    for rate in (np.full(len(JOINTS), np.inf), np.log(fastest)):
        candidates = np.empty((len(grid), len(JOINTS), len(NAMES)))
        candidates[..., [0, 3, 4]] = np.column_stack([grid[:, 0], np.log(grid[:, 1:])])[:, None]
        candidates[..., 1], candidates[..., 2], candidates[..., RATE] = 1.0, 0.005, rate
        costs = [np.mean(model.errors(some) ** 2, axis=1) for some in np.array_split(candidates, len(grid) // 24)]
        best = np.argmin(np.concatenate(costs), axis=0)
        found.append(candidates[best, range(len(JOINTS))])
    return found[0], found[1]


def _refine(model: _Model, start: Array, parts: int, doubt: Array | None = None, tries: int = 40) -> Array:
    """(9, 6) parameters from (9, 6) first ones, the first ``parts`` of each joint fitted.

    One call for all joints: they do not touch, but a run of the model costs the same for nine as for one. With (9,)
    rad² of doubt in the data, what is known of damping counts too.
    """
    joints = len(JOINTS)
    weight = 1 / np.std(model.recording.measured, axis=0)
    known = np.zeros(joints) if doubt is None else weight * np.sqrt(doubt) / _KNOWN_DAMPING
    last: dict[bytes, tuple[Array, Array]] = {}

    def both(x: Array) -> tuple[Array, Array]:
        if x.tobytes() not in last:
            full = start.copy()
            full[:, :parts] = x.reshape(joints, parts)
            errors, slopes = model.slopes(full)
            off, table = np.zeros((joints, parts + 2)), np.zeros((joints, parts + 2, joints, parts))
            for joint in range(joints):
                # Turned so that thousands of errors become as many as there are parameters, and one that nothing
                # changes: lengths and angles, all that least squares look at, stay as they are.
                turn, triangle = np.linalg.qr(slopes[:, joint, :parts] * weight[joint])
                error = errors[:, joint] * weight[joint]
                off[joint, :parts] = turn.T @ error
                off[joint, parts] = np.sqrt(max(error @ error - off[joint, :parts] @ off[joint, :parts], 0.0))
                table[joint, :parts, joint] = triangle
            off[:, -1] = known * full[:, _DAMPING]
            table[range(joints), -1, range(joints), _DAMPING] = known
            last.clear()
            last[x.tobytes()] = off.ravel(), table.reshape(off.size, -1)
        return last[x.tobytes()]

    low, high = np.tile(model.low[:parts], joints), np.tile(model.high[:parts], joints)
    inside = np.minimum((high - low) / 4, 1e-3)
    first = np.clip(start[:, :parts].ravel(), low + inside, high - inside)
    # The size of a natural change of each parameter: 10 ms, a tenth, 10 mrad, and shares of a third.
    scale = np.tile([0.01, 0.1, 0.01, 0.3, 0.3, 0.3][:parts], joints)
    fit = least_squares(
        lambda x: both(x)[0], first, lambda x: both(x)[1], bounds=(low, high), x_scale=scale, max_nfev=tries, ftol=1e-7
    )
    full = start.copy()
    full[:, :parts] = fit.x.reshape(joints, parts)
    return full


def _evidence(errors: Array, others: Array) -> Array:
    """(9,) twice the log likelihood by which errors (M, 9) beat others, which may be (..., M, 9)."""
    count = len(errors)
    variance = np.mean(errors**2, axis=0) + _LEAST_SQUARE
    lags = _lags(count)
    alike = np.array([np.mean(errors[lag:] * errors[: count - lag], axis=0) for lag in lags]) / variance
    together = np.maximum(1 + 2 * np.sum(_taper(lags)[:, None] * alike, axis=0), 1.0)
    return np.asarray(count / together * np.log((np.mean(others**2, axis=-2) + _LEAST_SQUARE) / variance))


def _lags(count: int) -> npt.NDArray[np.int64]:
    return np.arange(1, min(round(_MEMORY * CONTROL_HZ), count - 1) + 1)


def _taper(lags: npt.NDArray[np.int64]) -> Array:
    """Bartlett's: keeps the estimated variance positive."""
    return np.asarray(1 - lags / (len(lags) + 1))


def _conclude(model: _Model, chosen: Array, free: Array, motion: Array) -> Identified:
    errors, slopes = model.slopes(chosen)
    at_least = _rate_at_least(model, free, errors)
    low, high = np.empty_like(chosen), np.empty_like(chosen)
    for joint in range(len(JOINTS)):
        limited = np.isfinite(chosen[joint, RATE])
        parts = len(NAMES) if limited else RATE
        spread = np.zeros(len(NAMES))
        spread[:parts] = Z95 * _standard_errors(slopes[:, joint, :parts], errors[:, joint])
        low[joint], high[joint] = chosen[joint] - spread, chosen[joint] + spread
        if limited:
            at_least[joint] = np.exp(low[joint, RATE])
        else:
            low[joint, RATE], high[joint, RATE] = np.log(at_least[joint]), np.inf
    # Nothing beyond the bounds was tried: an interval that gets there ends nowhere, or where physics ends it.
    low = np.where(low <= _LOW + 1e-3, np.where(np.arange(len(NAMES)) < _LOGS.start, 0.0, -np.inf), low)
    high = np.where(high >= _HIGH - 1e-3, [MAX_DELAY, *[np.inf] * (len(NAMES) - 1)], high)
    offset = np.mean(model.positions(chosen[None])[:, 0] - model.recording.measured, axis=0)
    values = _natural(chosen)
    return Identified(
        actuators=Actuators(**values),
        low=_natural(low),
        high=_natural(high),
        rate_at_least=at_least,
        residual=np.sqrt(np.mean(errors**2, axis=0)),
        motion=motion,
        predicted=model.positions(chosen[None])[:, 0] - offset,
    )


def _rate_at_least(model: _Model, free: Array, errors: Array) -> Array:
    """(9,) rad/s, the highest rate limit that the motion contradicts, the other parameters kept."""
    path = model.positions(free[None])[:, 0]
    fastest = np.max(np.abs(np.diff(path, axis=0)) / np.diff(model.recording.captured)[:, None], axis=0)
    shares = np.linspace(0.3, 1.0, 36)
    candidates = np.repeat(free[None], len(shares), axis=0)
    candidates[..., RATE] = np.log(shares[:, None] * fastest)
    against = _evidence(errors, model.errors(candidates)) > Z95**2
    highest = np.where(against, shares[:, None], 0.0).max(axis=0)
    return np.asarray(np.maximum(highest * fastest, np.exp(_LOW[RATE])))


def _standard_errors(slopes: Array, errors: Array) -> Array:
    """(P,) of parameters with (K, P) slopes and (K,) errors.

    The widest of three: for errors that are independent, that follow one another alike at all times, and that do so
    more in some motions than in others.

    Source: Newey and West, Econometrica 55, 1987.
    """
    count, parts = slopes.shape
    variances = []
    for total in _totals(slopes, errors):
        weight = slopes.T @ (slopes - slopes.mean(axis=0))
        doubt = _doubt(weight, total)
        weight[_DAMPING, _DAMPING] += doubt / _KNOWN_DAMPING**2
        total[_DAMPING, _DAMPING] += doubt**2 / _KNOWN_DAMPING**2
        inverse = np.linalg.pinv(weight)
        variances.append(np.diag(inverse @ total @ inverse))
    return np.asarray(np.sqrt(np.max(variances, axis=0) * count / (count - parts - 1)))


def _totals(slopes: Array, errors: Array) -> list[Array]:
    """(P, P) each: the variance of the sum of slopes times errors, for the three kinds of errors."""
    slopes = slopes - slopes.mean(axis=0)
    scores, count = slopes * errors[:, None], len(errors)
    weight, square = slopes.T @ slopes, np.mean(errors**2)
    alike, local = square * weight, scores.T @ scores
    lags = _lags(count)
    for lag, taper in zip(lags, _taper(lags), strict=True):
        together = np.mean(errors[lag:] * errors[:-lag]) * slopes[lag:].T @ slopes[:-lag]
        apart = scores[lag:].T @ scores[:-lag]
        alike += taper * (together + together.T)
        local += taper * (apart + apart.T)
    return [square * weight, alike, local]


def _doubts(model: _Model, parameters: Array, parts: int) -> Array:
    """(9,) rad², each joint's ``_doubt``."""
    errors, slopes = model.slopes(parameters)
    doubts = []
    for joint in range(len(JOINTS)):
        some = slopes[:, joint, :parts] - slopes[:, joint, :parts].mean(axis=0)
        doubts.append(max(_doubt(some.T @ some, total) for total in _totals(some, errors[:, joint])))
    return np.array(doubts)


def _doubt(weight: Array, total: Array) -> float:
    """rad², the variance of errors that would be as misleading about damping were they independent."""
    return float(total[_DAMPING, _DAMPING]) / max(float(weight[_DAMPING, _DAMPING]), 1e-12)


def _natural(parameters: Array) -> dict[str, Array]:
    """(9, 6) → name → (9,) in s, Hz and rad/s."""
    return {
        name: np.exp(parameters[:, index]) if index >= _LOGS.start else parameters[:, index].copy()
        for index, name in enumerate(NAMES)
    }


def _number(value: float) -> float | None:
    """JSON knows no infinity."""
    return float(value) if np.isfinite(value) else None
