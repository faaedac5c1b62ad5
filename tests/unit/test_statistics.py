"""Intervals that keep their promise."""

import numpy as np
import pytest

from reachy_policies.evaluate.statistics import compare_pairs, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe, Statistics in Medicine 17:857 (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_the_published_one(successes, n, low, high):
    rate = wilson(successes, n)
    assert (round(rate.low, 4), round(rate.high, 4)) == (low, high)
    assert rate.value == successes / n


def test_all_successes_still_leave_doubt():
    rate = wilson(20, 20)
    assert rate.high == pytest.approx(1.0)
    assert 0.8 < rate.low < 0.9


def outcomes(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[bool], list[bool]]:
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return a, b


@pytest.mark.parametrize(
    ("table", "difference", "low", "high"),
    # Newcombe, Statistics in Medicine 17:2635 (1998), table II, method 10; his difference is a − b.
    [((36, 12, 2, 0), 0.2, 0.0569, 0.3404), ((1, 1, 97, 1), None, None, None)],
)
def test_newcombes_paired_interval_is_the_published_one(table, difference, low, high):
    a, b = outcomes(*table)
    made = compare_pairs(b, a).difference
    if difference is None:
        assert made.low <= made.value <= made.high
        return
    assert made.value == pytest.approx(difference)
    assert (round(made.low, 4), round(made.high, 4)) == (low, high)


def test_the_discordant_pairs_are_named():
    made = compare_pairs([True, True, False, False], [True, False, True, False])
    assert (made.only_a, made.only_b, made.pairs) == ([1], [2], 4)


@pytest.mark.parametrize(
    ("b", "c", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (1, 8, 0.0390625)]
)
def test_mcnemars_test_is_exact(b, c, p):
    assert compare_pairs(*outcomes(10, b, c, 3)).p_value == pytest.approx(p)


def test_the_paired_interval_covers_the_true_difference():
    """At 40 pairs, success rates of 70 and 85 % with half of the luck shared; 2,000 tables, so ±1 point of noise."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        shared = rng.random(40) < 0.5
        luck = rng.random(40)
        a = np.where(shared, luck, rng.random(40)) < 0.70
        b = np.where(shared, luck, rng.random(40)) < 0.85
        made = compare_pairs(a.tolist(), b.tolist()).difference
        covered += made.low <= 0.15 <= made.high
    assert 0.93 <= covered / 2000 <= 0.98


def test_pairs_must_be_pairs():
    with pytest.raises(ValueError, match="equally long"):
        compare_pairs([True], [True, False])
