"""Whether a learner passes its expert is said in words that follow from the interval alone."""

import re
from dataclasses import dataclass

import pytest

from reachy_policies.evaluation.expert_comparison import compare_with_expert


@dataclass
class Outcomes:
    """Evaluation with nothing but its outcomes."""

    successes: list[bool]


def compare(expert: int, learner: int, count: int = 40):
    """Compare policies that succeed in the first so many of the episodes."""
    return compare_with_expert(
        "rl", *(Outcomes([index < successes for index in range(count)]) for successes in (expert, learner))
    )


@pytest.mark.parametrize(
    ("expert", "learner", "verdict", "words"),
    [
        (22, 40, "gained", "rl passes its expert: +45 points"),
        (40, 22, "lost", "rl does not reach its expert: -45 points"),
        (22, 24, "can't tell", "Can't tell whether rl passes its expert: +5 points"),
        (22, 22, "can't tell", "Can't tell whether rl passes its expert: +0 points"),
        (0, 0, "can't tell", "Can't tell whether rl passes its expert: +0 points"),
        (40, 40, "can't tell", "Can't tell whether rl passes its expert: +0 points"),
    ],
)
def test_the_words_follow_from_the_interval(expert, learner, verdict, words):
    comparison = compare(expert, learner)
    assert comparison.verdict == verdict
    assert comparison.sentence.startswith(f"{words}, 95 % interval ")
    assert comparison.sentence.endswith(f"({learner} against {expert} successes in the same 40 episodes)")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 40])
def test_a_claim_needs_an_interval_beside_zero_and_more_than_chance(count):
    for expert in range(count + 1):
        for learner in range(count + 1):
            comparison = compare(expert, learner, count)
            shown = re.search(r"interval ([+-]\d+) to ([+-]\d+)", comparison.sentence)
            low, high = (int(number) for number in shown.groups())
            claims = comparison.paired.p_value < 0.05
            assert (comparison.verdict == "gained") == (low > 0 and claims)
            assert (comparison.verdict == "lost") == (high < 0 and claims)


def test_few_episodes_cannot_tell():
    comparison = compare(0, 2, count=2)
    assert comparison.verdict == "can't tell"
    assert comparison.sentence.endswith("in the same 2 episodes; so few that chance explains it, p = 0.50)")
