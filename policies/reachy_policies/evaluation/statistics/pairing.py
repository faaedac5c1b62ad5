"""One arm against another: which of their trainings belong together, and what their differences allow to say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reachy_kit.runtime.interface import Array
from reachy_policies.evaluation.statistics.intervals import Rate, compare_pairs
from reachy_policies.evaluation.statistics.scores import Scores
from reachy_policies.evaluation.statistics.training_seeds import MARGIN, Verdict, compare_trainings

type Scope = Literal["trainings", "one training", "no training"]
type Pairs = Sequence[tuple[int, int]]
"""Places of trainings in the first and in the other arm."""


@dataclass(frozen=True)
class Against:
    """An arm against the first one, on one variant."""

    scope: Scope
    """What the interval speaks of: a way of training, or these very policies."""
    trainings: tuple[int | None, ...]
    """(P,) seeds of the pairs."""
    differences: Array
    """(P,) of success, this arm − first."""
    difference: Rate
    """Their mean. Interval: Newcombe's over the pairs of episodes, and with several pairs of trainings the t-interval
    over these where that is wider."""
    p_value: float | None
    verdict: Verdict | None
    """None between policies that nobody trained."""


def pairs(first: Scores, other: Scores) -> Pairs:
    """Trainings that belong together: those with equal seeds, or the only ones there are.

    What was not trained belongs to each of the other's trainings.
    """
    if len(first.trainings) == len(other.trainings) == 1:
        return [(0, 0)]
    if not first.trained:
        return [(0, row) for row in range(len(other.trainings))]
    if not other.trained:
        return [(row, 0) for row in range(len(first.trainings))]
    return [(row, other.trainings.index(seed)) for row, seed in enumerate(first.trainings) if seed in other.trainings]


def compare_scores(first: Scores, other: Scores, together: Pairs, margin: float = MARGIN) -> Against | None:
    """Compare on the same episodes; None without a pair.

    Args:
        first: what is compared with.
        other: what is compared.
        together: the pairs of trainings.
        margin: share of episodes that does not matter.
    """
    if not together:
        return None
    rows, others = [a for a, _ in together], [b for _, b in together]
    trained = first.trained or other.trained
    seeds = first.only(rows).trainings if first.trained else other.only(others).trainings
    differences = other.rates[others] - first.rates[rows]
    episodes = compare_pairs(first.success[rows].ravel().tolist(), other.success[others].ravel().tolist()).difference
    if len(together) == 1:
        verdict: Verdict | None = "can't tell" if trained else None
        return Against("one training" if trained else "no training", seeds, differences, episodes, None, verdict)
    made = compare_trainings(differences, margin, episodes)
    return Against("trainings", seeds, differences, made.difference, made.p_value, made.verdict)
