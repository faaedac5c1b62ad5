"""Uncertainty of a fit of the motor model whose errors are correlated in time.

Errors of a model are correlated over time and would make naive intervals far too narrow. Correlation within half a
second counts here. The results say how well the data determine this model's parameters, not that the model is true.

Source: Newey and West, Econometrica 55, 1987.
"""

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import CONTROL_HZ, Array
from reachy_sim.dynamics.joints import JOINTS
from reachy_sim.sysid.motor_model import DAMPING, MotorModel

KNOWN_DAMPING = 0.5
"""Prior standard deviation of the logarithm of a servo's damping. Where the response is too quick to separate delay,
bandwidth and damping, intervals rest on it; data that do separate them outweigh it."""
_LEAST_SQUARE = 1e-4**2
"""Floor of the variance, rad²: differences below a tenth of a milliradian, a fifteenth of the motors' encoder step, do
not decide anything."""
_MEMORY = 0.5
"""Time over which errors are taken as correlated, s."""


def evidence(errors: Array, others: Array) -> Array:
    """Twice the log likelihood ratio, (9,), of errors (M, 9) over others, which may be (..., M, 9)."""
    count = len(errors)
    variance = np.mean(errors**2, axis=0) + _LEAST_SQUARE
    lags = _lags(count)
    alike = np.array([np.mean(errors[lag:] * errors[: count - lag], axis=0) for lag in lags]) / variance
    together = np.maximum(1 + 2 * np.sum(_taper(lags)[:, None] * alike, axis=0), 1.0)
    return np.asarray(count / together * np.log((np.mean(others**2, axis=-2) + _LEAST_SQUARE) / variance))


def _lags(count: int) -> npt.NDArray[np.int64]:
    return np.arange(1, min(round(_MEMORY * CONTROL_HZ), count - 1) + 1)


def _taper(lags: npt.NDArray[np.int64]) -> Array:
    """Bartlett's weights, which keep the estimated variance positive."""
    return np.asarray(1 - lags / (len(lags) + 1))


def standard_errors(slopes: Array, errors: Array) -> Array:
    """Standard errors (P,) of parameters with (K, P) slopes and (K,) errors.

    They are the widest of three: for independent errors, for errors correlated alike at all times, and for errors
    correlated more in some motions than in others.

    Source: Newey and West, Econometrica 55, 1987.
    """
    count, parts = slopes.shape
    variances = []
    for total in _totals(slopes, errors):
        weight = slopes.T @ (slopes - slopes.mean(axis=0))
        doubt = _doubt(weight, total)
        weight[DAMPING, DAMPING] += doubt / KNOWN_DAMPING**2
        total[DAMPING, DAMPING] += doubt**2 / KNOWN_DAMPING**2
        inverse = np.linalg.pinv(weight)
        variances.append(np.diag(inverse @ total @ inverse))
    return np.asarray(np.sqrt(np.max(variances, axis=0) * count / (count - parts - 1)))


def _totals(slopes: Array, errors: Array) -> list[Array]:
    """Variance (P, P) of the sum of slopes times errors, for each of the three kinds of errors."""
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


def doubts(model: MotorModel, parameters: Array, parts: int) -> Array:
    """Doubt in the data of each joint, (9,) rad²: see ``_doubt``."""
    errors, slopes = model.slopes(parameters)
    doubt = []
    for joint in range(len(JOINTS)):
        centred = slopes[:, joint, :parts] - slopes[:, joint, :parts].mean(axis=0)
        doubt.append(max(_doubt(centred.T @ centred, total) for total in _totals(centred, errors[:, joint])))
    return np.array(doubt)


def _doubt(weight: Array, total: Array) -> float:
    """Variance, rad², of independent errors that would mislead about damping as much."""
    return float(total[DAMPING, DAMPING]) / max(float(weight[DAMPING, DAMPING]), 1e-12)
