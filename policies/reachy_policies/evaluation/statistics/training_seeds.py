"""Statistics over training seeds: claims about a way of training, not about one trained policy.

The claims hold for the evaluated episodes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from reachy_kit.runtime.interface import Array
from reachy_policies.evaluation.statistics.intervals import Estimate

type Verdict = Literal["gained", "kept", "lost", "can't tell"]

FEWEST_FOR_P = 6
"""Fewest pairs for a p-value. With five the smallest two-sided p is 2/32, above 0.05."""
FEWEST_FOR_CLAIM = 10
"""Fewest pairs for a verdict, fixed before any run; fewer find only effects too large to need a test."""
SIGNIFICANCE = 0.05
MARGIN = 0.05
"""Largest change in success, share of episodes, that counts as kept."""
_EXACT_UP_TO = 16
_FLIPS = 65_536
_RESAMPLES = 2_000
_NUMBERS_AT_ONCE = 4_000_000
"""Numbers in memory at once during a bootstrap."""


@dataclass(frozen=True)
class SeedComparison:
    """Differences over pairs of training seeds."""

    difference: Estimate
    """Their mean with a 95 % interval."""
    p_value: float | None
    """Exact sign-flip test, two-sided; None with too few pairs."""
    verdict: Verdict


def interquartile_mean(scores: Array) -> float:
    """Mean of the middle half of all numbers in an array of any shape.

    Source: Agarwal et al., Deep RL at the edge of the statistical precipice (2021): as robust to
    an outlying run as the median, with less variance.
    """
    return float(stats.trim_mean(scores, 0.25, axis=None))


def interquartile_mean_interval(scores: Array, level: float = 0.95, seed: int = 0) -> Estimate:
    """Interquartile mean over trainings and episodes, with a percentile bootstrap over the trainings.

    Args:
        scores: (T, N), a row per training, a column per episode. Whole rows are resampled, as every training is
            evaluated on the same episodes. With one row there is nothing to resample, and the bounds are NaN.
        level: nominal coverage; the true one is a little lower with few trainings.
        seed: seed of the resampling.

    Source: Agarwal et al. (2021), appendix; they resample runs within each task, and here there is one task.
    Their library ignores its random state and resamples single cells, hence this implementation.
    """
    value, trainings = interquartile_mean(scores), len(scores)
    if trainings < 2:
        return Estimate(value, np.nan, np.nan)
    drawn = np.random.default_rng(seed).integers(trainings, size=(_RESAMPLES, trainings))
    blocks = np.array_split(drawn, -(-_RESAMPLES * scores.size // _NUMBERS_AT_ONCE))
    means = np.concatenate([stats.trim_mean(scores[rows].reshape(len(rows), -1), 0.25, axis=1) for rows in blocks])
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(value, float(low), float(high))


def mean_interval(values: Array, level: float = 0.95) -> Estimate:
    """Mean of (T,) numbers, one per training, with Student's t-interval; infinite with a single number."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean, -np.inf, np.inf)
    half = float(stats.t.ppf(0.5 + level / 2, len(values) - 1)) * float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return Estimate(mean, mean - float(half), mean + float(half))


def sign_flip_p(differences: Array, seed: int = 0) -> float:
    """Two-sided permutation test of no difference: the share of random signs whose mean is as far from 0.

    Args:
        differences: (n,), one per pair. Up to 16 pairs all 2^n signs are tried; above, 65,536 random ones and the
            observed ones.
        seed: seed of the random signs.

    Source: Fisher, The Design of Experiments (1935), §21; for random signs Phipson & Smyth (2010).
    """
    n = len(differences)
    # Sums that differ only by rounding count as equal: shares of episodes tie often.
    observed = abs(float(np.sum(differences))) - 1e-9 * float(np.sum(np.abs(differences)))
    if n <= _EXACT_UP_TO:
        bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ differences) >= observed))
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(_FLIPS, n))
    return float((np.sum(np.abs(signs @ differences) >= observed) + 1) / (_FLIPS + 1))


def compare_trainings(differences: Array, margin: float = MARGIN, episodes: Estimate | None = None) -> SeedComparison:
    """Decide what (n,) differences of success, one per pair of training seeds, show.

    The verdict is ``gained`` or ``lost`` only where the test rejects, and ``kept`` only where the whole interval lies
    within the margin: absence of evidence is not evidence of absence.

    Args:
        differences: shares of episodes, second way of training minus first.
        margin: largest share that counts as ``kept``.
        episodes: the same difference with its interval over episodes. The t-interval over trainings has no width where
            trainings happen to agree, however few the episodes; so the wider bound counts on each side, up to ±1.
    """
    n, difference = len(differences), mean_interval(differences)
    if episodes is not None:
        low, high = min(difference.low, episodes.low), max(difference.high, episodes.high)
        difference = Estimate(difference.value, max(low, -1.0), min(high, 1.0))
    p_value = sign_flip_p(differences) if n >= FEWEST_FOR_P else None
    verdict: Verdict = "can't tell"
    if n >= FEWEST_FOR_CLAIM and p_value is not None:
        if p_value < SIGNIFICANCE:
            verdict = "gained" if difference.value > 0 else "lost"
        elif -margin <= difference.low and difference.high <= margin:
            verdict = "kept"
    return SeedComparison(difference, p_value, verdict)
