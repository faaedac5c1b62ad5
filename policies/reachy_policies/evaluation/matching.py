"""Comparison at equal in-task return.

A policy that does the task better may do everything else better for that reason alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from reachy_policies.evaluation.groups import TrainingGroup
from reachy_policies.evaluation.statistics.score_comparison import ScoreComparison, compare_scores, paired_trainings
from reachy_policies.evaluation.statistics.scores import Scores, join_variants

type ScoreGroup = Callable[[TrainingGroup], Scores]
"""Scores a group on the variant under evaluation."""


@dataclass
class MatchedPairs:
    """Pairs of trainings that do the task equally well, and their scores on each variant."""

    groups: tuple[TrainingGroup, TrainingGroup]
    """First and other."""
    pairs: list[tuple[int, int]]
    """Indices of the trainings in both groups."""
    checkpoints: dict[tuple[int, int], TrainingGroup]
    """Earlier weights that replace a training's last ones, by group (0 or 1) and index of the training."""
    scores: dict[str, tuple[Scores, Scores]] = field(default_factory=dict)
    """By variant: first and other."""

    @property
    def stand_ins(self) -> list[str]:
        """Descriptions of the earlier weights, each with the training that it replaces."""
        return [
            f"{checkpoint.name} for seed {self.groups[side].trainings[row]}"
            for (side, row), checkpoint in self.checkpoints.items()
        ]

    def add_variant(self, variant: str, scores: dict[str, Scores], score_group: ScoreGroup) -> None:
        """Add a variant's scores; earlier weights are run on it.

        Args:
            variant: the variant under evaluation.
            scores: by group, scores of the last weights on it.
            score_group: scores a group on it.
        """
        sides = [scores[group.name] for group in self.groups]
        for (side, row), checkpoint in self.checkpoints.items():
            sides[side] = sides[side].replace_training(row, score_group(checkpoint))
        self.scores[variant] = sides[0], sides[1]

    def join_variants(self, name: str, variants: Sequence[str]) -> None:
        """Add several variants as a single one."""
        first, other = (join_variants([self.scores[variant][side] for variant in variants]) for side in (0, 1))
        self.scores[name] = first, other

    def compare(self, variant: str, margin: float) -> ScoreComparison | None:
        """Compare the matched pairs on a variant; None where no pair matches."""
        return compare_scores(*self.scores[variant], self.pairs, margin)


def match_returns(
    first: TrainingGroup, other: TrainingGroup, scores: dict[str, Scores], score_group: ScoreGroup, tolerance: float
) -> MatchedPairs:
    """Find the pairs of trainings with equal in-task return.

    Where a pair's returns differ too much, the earlier weights of the better one are scored, and the closest replace
    it. Nothing is interpolated: all compared weights come from training and are run.

    Args:
        first: a group.
        other: another group.
        scores: by group, scores on the variant that they were trained on.
        score_group: scores a group on that variant.
        tolerance: largest difference of the returns, mean reward per decision.
    """
    matched = MatchedPairs((first, other), [], {})
    for rows in paired_trainings(scores[first.name], scores[other.name]):
        returns = [float(scores[group.name].returns[row]) for group, row in zip(matched.groups, rows, strict=True)]
        if abs(returns[1] - returns[0]) > tolerance:
            better = int(np.argmax(returns))
            candidates = matched.groups[better].checkpoints(rows[better])
            gaps = [abs(float(score_group(group).returns[0]) - returns[1 - better]) for group in candidates]
            if not gaps or min(gaps) > tolerance:
                continue
            matched.checkpoints[better, rows[better]] = candidates[int(np.argmin(gaps))]
        matched.pairs.append(rows)
    return matched
