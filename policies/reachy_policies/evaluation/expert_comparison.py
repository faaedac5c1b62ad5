"""Whether a learner passes the expert that it learned from, in words that follow from the interval.

Try it: reachy-kit demo
"""

from dataclasses import dataclass
from typing import Literal

from reachy_policies.evaluation.policy_evaluation import Evaluation
from reachy_policies.evaluation.statistics.intervals import PairedDifference, compare_pairs, points

_LEVEL = 0.05
"""Probability by chance, in the exact test, from which nothing is claimed."""
type Verdict = Literal["gained", "lost", "can't tell"]

_WORDS: dict[Verdict, str] = {
    "gained": "{} passes its expert",
    "lost": "{} does not reach its expert",
    "can't tell": "Can't tell whether {} passes its expert",
}


@dataclass(frozen=True)
class ExpertComparison:
    """A learner and its expert on the same episodes. It is about this one training, not about the method."""

    learner: str
    """The learner's name in sentences."""
    successes: tuple[int, int]
    """Numbers of successful episodes of the expert and of the learner."""
    paired: PairedDifference
    """Learner minus expert."""

    @property
    def verdict(self) -> Verdict:
        """Whether the learner succeeds more often or less often.

        "can't tell" where the interval, as shown, holds 0, and where chance explains the outcomes: of two or three
        episodes the interval is too narrow, but the exact test is not.
        """
        if self._is_chance or not self._excludes_zero:
            return "can't tell"
        return "gained" if self.paired.difference.value > 0 else "lost"

    @property
    def _excludes_zero(self) -> bool:
        change = self.paired.difference
        return round(100 * change.low) > 0 or round(100 * change.high) < 0

    @property
    def _is_chance(self) -> bool:
        return self.paired.p_value >= _LEVEL

    @property
    def heading(self) -> str:
        """Verdict and difference, for a heading."""
        change = self.paired.difference
        return (
            f"{_WORDS[self.verdict].format(self.learner)}: {points(change.value)} points, 95 % interval "
            f"{points(change.low)} to {points(change.high)}"
        )

    @property
    def sentence(self) -> str:
        """Verdict, difference and counts, as a line that stands alone."""
        expert, learner = self.successes
        chance = self._is_chance and self._excludes_zero
        few = f"; so few that chance explains it, p = {self.paired.p_value:.2f}" if chance else ""
        return f"{self.heading} ({learner} against {expert} successes in the same {self.paired.pairs} episodes{few})"


def compare_with_expert(learner: str, expert: Evaluation, learned: Evaluation) -> ExpertComparison:
    """Compare a learner with its expert.

    Args:
        learner: the learner's name in sentences.
        expert: its episodes.
        learned: the learner's, of the same seeds in the same order.

    Raises:
        ValueError: the two have different numbers of episodes.
    """
    paired = compare_pairs(expert.successes, learned.successes)
    return ExpertComparison(learner, (sum(expert.successes), sum(learned.successes)), paired)
