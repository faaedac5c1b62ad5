"""Intervals over episodes, for success rates and for their paired differences.

These intervals are about one trained policy; a claim about a method needs several seeds (training_seeds.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt
from statistics import NormalDist


@dataclass(frozen=True)
class Estimate:
    """A number with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """Outcomes of policies a and b on the same episodes."""

    pairs: int
    only_a: list[int]
    """Indices of the pairs in which only a succeeded."""
    only_b: list[int]
    """Indices of the pairs in which only b succeeded."""
    difference: Estimate
    """Difference of the success rates, b − a."""
    p_value: float
    """Exact two-sided McNemar test: probability of a split of the discordant pairs at least this uneven by chance."""


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Success rate with Wilson's score interval; it has a width even at 0 and n, where the textbook interval has none.

    Args:
        successes: number of successes.
        n: number of episodes, at least 1.
        level: coverage.

    Source: Wilson, JASA 22 (1927); recommended for small n by Brown, Cai & DasGupta, Statistical Science 16 (2001).
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Estimate(p, max(0.0, centre - half), min(1.0, centre + half))


def compare_pairs(a: Sequence[bool], b: Sequence[bool], level: float = 0.95) -> PairedDifference:
    """Difference of two success rates on the same episodes.

    Args:
        a: outcome of each episode.
        b: outcome of the same episodes, in the same order.
        level: coverage.

    Raises:
        ValueError: the two differ in length, or are empty.

    Source: Newcombe, Statistics in Medicine 17:2635 (1998), method 10: Wilson intervals combined by the correlation.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"pairs need two equally long, non-empty sequences, got {len(a)} and {len(b)}")
    n = len(a)
    only_a = [i for i in range(n) if a[i] and not b[i]]
    only_b = [i for i in range(n) if b[i] and not a[i]]
    both = sum(x and y for x, y in zip(a, b, strict=True))
    neither = n - both - len(only_a) - len(only_b)
    rate_a, rate_b = wilson_interval(sum(a), n, level), wilson_interval(sum(b), n, level)
    phi = _correlation(both, len(only_a), len(only_b), neither)
    difference = rate_b.value - rate_a.value
    down_b, up_a = rate_b.value - rate_b.low, rate_a.high - rate_a.value
    up_b, down_a = rate_b.high - rate_b.value, rate_a.value - rate_a.low
    low = difference - sqrt(max(0.0, down_b**2 - 2 * phi * down_b * up_a + up_a**2))
    high = difference + sqrt(max(0.0, up_b**2 - 2 * phi * up_b * down_a + down_a**2))
    return PairedDifference(n, only_a, only_b, Estimate(difference, low, high), _mcnemar(len(only_a), len(only_b)))


def points(share: float) -> str:
    """Format a difference of shares in percentage points, with its sign."""
    return f"{round(100 * share):+d}"


def _correlation(both: int, only_a: int, only_b: int, neither: int) -> float:
    """Phi of the fourfold table, with Newcombe's continuity correction where it is positive."""
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if not margins:
        return 0.0
    agreement: float = both * neither - only_a * only_b
    if agreement > 0:
        agreement = max(agreement - (both + only_a + only_b + neither) / 2, 0.0)
    return agreement / sqrt(margins)


def _mcnemar(b: int, c: int) -> float:
    n = b + c
    tail = sum(comb(n, k) for k in range(min(b, c) + 1)) / (1 << n)
    return min(1.0, 2 * tail)
