"""Comparison at equal in-task return: whoever does the task better may keep more of everything else for that alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from reachy_policies.evaluation.groups import TrainingGroup
from reachy_policies.evaluation.statistics.pairing import Against, compare_scores, pairs
from reachy_policies.evaluation.statistics.scores import Scores, joined

type Judge = Callable[[TrainingGroup], Scores]
"""Plays an arm on the variant that is at hand."""


@dataclass
class Matched:
    """The pairs of trainings that do the task equally well, and what they do on each variant."""

    groups: tuple[TrainingGroup, TrainingGroup]
    """First and other."""
    together: list[tuple[int, int]]
    """Places of the trainings in both."""
    earlier: dict[tuple[int, int], TrainingGroup]
    """Earlier weights that stand for a training, by arm (0 or 1) and place."""
    scores: dict[str, tuple[Scores, Scores]] = field(default_factory=dict)
    """By variant."""

    @property
    def stand_ins(self) -> list[str]:
        """Which earlier weights stand for which training, in words."""
        return [f"{one.name} for seed {self.groups[side].trainings[row]}" for (side, row), one in self.earlier.items()]

    def play(self, variant: str, kept: dict[str, Scores], judge: Judge) -> None:
        """Take the scores of the kept weights; earlier ones are played."""
        sides = [kept[group.name] for group in self.groups]
        for (side, row), one in self.earlier.items():
            sides[side] = sides[side].with_row(row, judge(one))
        self.scores[variant] = sides[0], sides[1]

    def join(self, name: str, variants: Sequence[str]) -> None:
        """Several variants as one."""
        first, other = (joined([self.scores[variant][side] for variant in variants]) for side in (0, 1))
        self.scores[name] = first, other

    def against(self, variant: str, margin: float) -> Against | None:
        """The comparison; None where no pair matches."""
        return compare_scores(*self.scores[variant], self.together, margin)


def match(
    first: TrainingGroup, other: TrainingGroup, kept: dict[str, Scores], judge: Judge, tolerance: float
) -> Matched:
    """Find the pairs with equal in-task return.

    Where a pair's returns differ too much, the better one's earlier weights are tried, and the nearest stand in for it.
    Nothing is interpolated: what is compared was trained and played.

    Args:
        first: an arm.
        other: another.
        kept: by arm, on the variant that they were trained on.
        judge: plays on that variant.
        tolerance: of the returns, mean reward a decision.
    """
    made = Matched((first, other), [], {})
    for rows in pairs(kept[first.name], kept[other.name]):
        returns = [float(kept[group.name].returns[row]) for group, row in zip(made.groups, rows, strict=True)]
        if abs(returns[1] - returns[0]) > tolerance:
            better = int(np.argmax(returns))
            candidates = made.groups[better].checkpoints(rows[better])
            off = [abs(float(judge(one).returns[0]) - returns[1 - better]) for one in candidates]
            if not off or min(off) > tolerance:
                continue
            made.earlier[better, rows[better]] = candidates[int(np.argmin(off))]
        made.together.append(rows)
    return made
