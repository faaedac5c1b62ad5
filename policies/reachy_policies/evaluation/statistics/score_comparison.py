"""Comparison of one group's scores with another's: which trainings are paired, and what their differences show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reachy_kit.runtime.interface import Array
from reachy_policies.evaluation.statistics.intervals import Estimate, compare_pairs
from reachy_policies.evaluation.statistics.scores import Scores
from reachy_policies.evaluation.statistics.training_seeds import MARGIN, Verdict, compare_trainings

type Scope = Literal["trainings", "one training", "no training"]
type Pairs = Sequence[tuple[int, int]]
"""Indices of paired trainings in the first and in the other group."""


@dataclass(frozen=True)
class ScoreComparison:
    """Difference in success between a group and the first one, on one variant."""

    scope: Scope
    """What the interval is about: a way of training, or only the evaluated policies."""
    trainings: tuple[int | None, ...]
    """(P,) seeds of the pairs."""
    differences: Array
    """(P,) differences of the success rates, this group − first."""
    difference: Estimate
    """Their mean. Interval: Newcombe's over the pairs of episodes; with several pairs of trainings also the t-interval
    over these, whichever is wider on each side."""
    p_value: float | None
    verdict: Verdict | None
    """None between policies without training."""


def paired_trainings(first: Scores, other: Scores) -> Pairs:
    """Pair trainings with equal seeds, or the only ones that there are.

    A policy without training is paired with each of the other group's trainings.
    """
    if len(first.trainings) == len(other.trainings) == 1:
        return [(0, 0)]
    if not first.trained:
        return [(0, row) for row in range(len(other.trainings))]
    if not other.trained:
        return [(row, 0) for row in range(len(first.trainings))]
    return [(row, other.trainings.index(seed)) for row, seed in enumerate(first.trainings) if seed in other.trainings]


def compare_scores(first: Scores, other: Scores, pairs: Pairs, margin: float = MARGIN) -> ScoreComparison | None:
    """Compare success on the same episodes; None without a pair.

    Args:
        first: scores of the group to compare with.
        other: scores of the group to compare.
        pairs: the paired trainings.
        margin: largest difference, share of episodes, that counts as ``kept``.
    """
    if not pairs:
        return None
    rows, others = [a for a, _ in pairs], [b for _, b in pairs]
    trained = first.trained or other.trained
    seeds = first.select(rows).trainings if first.trained else other.select(others).trainings
    differences = other.rates[others] - first.rates[rows]
    episodes = compare_pairs(first.success[rows].ravel().tolist(), other.success[others].ravel().tolist()).difference
    if len(pairs) == 1:
        verdict: Verdict | None = "can't tell" if trained else None
        return ScoreComparison(
            "one training" if trained else "no training", seeds, differences, episodes, None, verdict
        )
    compared = compare_trainings(differences, margin, episodes)
    return ScoreComparison("trainings", seeds, differences, compared.difference, compared.p_value, compared.verdict)
