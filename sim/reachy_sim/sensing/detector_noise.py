"""Fit of the noise model of perception to a detector's errors on rendered frames.

Try it: .venv/bin/python -m reachy_sim.sensing.detector_report --out runs/detector
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import Array
from reachy_sim.sensing.sightings import Sightings

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A fitted number and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class NoiseFit:
    """Errors of the detector: first on whole targets, then at the edge of the image."""

    frames: int
    bias: tuple[Estimate, Estimate]
    """Mean error right and below, rad."""
    deviation: tuple[Estimate, Estimate]
    """Standard deviation of the error right and below, rad."""
    stretch: Estimate
    """Slope of the error over size² · tan(bearing). Off the axis a ball's image is an ellipse whose centre lies outside
    the ball's, by exactly that to the first order: a perfect measurement of the image gives 1."""
    remainder: tuple[Estimate, Estimate]
    """Standard deviation of the error without that stretch, rad: the error of pixels."""
    size_bias: Estimate
    """Mean relative error of the apparent radius."""
    size_deviation: Estimate
    """Standard deviation of the relative error of the apparent radius."""
    missed: Estimate
    """Share of the frames with a whole ball in which the detector found nothing."""
    by_size: tuple[dict[str, float], ...]
    """Deviations and misses by apparent size: bins of equal count, smallest first."""
    by_inside: tuple[dict[str, float], ...]
    """By ``Sightings.inside``: balls, share found, how far they appear pulled towards the middle of the frame in
    apparent radii, relative error of the size."""
    border: float
    """``Sightings.inside`` that best separates the balls that are found from those that are not."""


def fit_noise(sightings: Sightings, bins: int = 6) -> NoiseFit:
    """Fit the detector's bias, spread and misses.

    Args:
        sightings: of at least 20 whole targets.
        bins: of apparent size.

    Raises:
        KitError: the detector found fewer than 20 whole targets.
    """
    used = sightings.whole & sightings.found
    if used.sum() < 20:
        raise KitError(f"only {used.sum()} whole targets were found, and 20 are needed: render more frames")
    errors, relative = _errors(sightings)
    right, below, size = errors[used, 0], errors[used, 1], relative[used]
    lever = sightings.size[used, None] ** 2 * np.tan(sightings.bearing[used])
    stretch = _slope(lever.ravel(), errors[used].ravel())
    rest_right, rest_below = (errors[used] - stretch.value * lever).T
    order = np.array_split(np.argsort(sightings.size[sightings.whole]), bins)
    whole = np.flatnonzero(sightings.whole)
    return NoiseFit(
        frames=len(sightings.size),
        bias=(_mean(right), _mean(below)),
        deviation=(_spread(right), _spread(below)),
        stretch=stretch,
        remainder=(_spread(rest_right), _spread(rest_below)),
        size_bias=_mean(size),
        size_deviation=_spread(size),
        missed=_share(int((~sightings.found[whole]).sum()), len(whole)),
        by_size=tuple(_bin_by_size(sightings, whole[part]) for part in order if len(part)),
        by_inside=tuple(_bins_by_inside(sightings)),
        border=_border(sightings),
    )


def _errors(sightings: Sightings) -> tuple[Array, Array]:
    """Errors of the bearing, (M, 2) rad, and of the size relative to the true one, (M,)."""
    return sightings.measured[:, :2] - sightings.bearing, sightings.measured[:, 2] / sightings.size - 1


def _mean(values: Array) -> Estimate:
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return Estimate(mean, mean - reach, mean + reach)


def _spread(values: Array) -> Estimate:
    """Standard deviation with a bootstrapped interval: the errors' tails are longer than a normal's."""
    rng = np.random.default_rng(0)
    drawn = values[rng.integers(0, len(values), (400, len(values)))].std(axis=1, ddof=1)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(values.std(ddof=1)), float(low), float(high))


def _slope(x: Array, y: Array) -> Estimate:
    """Slope by least squares through the origin."""
    slope = float(x @ y / (x @ x))
    error = float(np.sqrt(np.sum((y - slope * x) ** 2) / (len(x) - 1) / (x @ x)))
    reach = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * error
    return Estimate(slope, slope - reach, slope + reach)


def _share(count: int, of: int) -> Estimate:
    interval = stats.binomtest(count, of).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(count / of, float(interval.low), float(interval.high))


def _bin_by_size(sightings: Sightings, chosen: npt.NDArray[np.intp]) -> dict[str, float]:
    errors, relative = _errors(sightings)
    found = chosen[sightings.found[chosen]]
    row = {"size": float(sightings.size[chosen].mean()), "missed": 1 - len(found) / len(chosen)}
    if len(found) > 1:
        right, below = errors[found].std(axis=0, ddof=1)
        row |= {"right": float(right), "below": float(below)}
        row |= {"relative": float(relative[found].std(ddof=1)), "relative_bias": float(relative[found].mean())}
    return row


def _bins_by_inside(sightings: Sightings, width: float = 0.2) -> list[dict[str, float]]:
    """Share found and errors of balls that the edge of the frame cuts off."""
    _, relative = _errors(sightings)
    away = np.abs(sightings.measured[:, :2]) - np.abs(sightings.bearing)
    inward = -np.min(away, axis=-1) / sightings.size
    rows = []
    for middle in np.arange(-0.9, 1.6, width):
        chosen = np.abs(sightings.inside - middle) < width / 2
        found = chosen & sightings.found
        if chosen.any():
            row = {"inside": float(middle), "balls": float(chosen.sum()), "found": float(found.sum() / chosen.sum())}
            if found.any():
                row |= {"inward": float(inward[found].mean()), "relative": float(relative[found].mean())}
            rows.append(row)
    return rows


def _border(sightings: Sightings) -> float:
    """Threshold between found and not found with the fewest mistakes, among balls near the edge."""
    near = np.abs(sightings.inside) < 1
    order = np.argsort(sightings.inside[near])
    inside, found = sightings.inside[near][order], sightings.found[near][order]
    if not len(inside):
        return float("nan")
    mistakes = np.concatenate([[0], np.cumsum(found)]) + np.concatenate([np.cumsum(~found[::-1])[::-1], [0]])
    edges = np.concatenate([[inside[0]], (inside[1:] + inside[:-1]) / 2, [inside[-1]]])
    return float(edges[np.argmin(mistakes)])
