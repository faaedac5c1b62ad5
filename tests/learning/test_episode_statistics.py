"""Statistics over episodes: published values, exact enumeration and symmetries."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachy_policies.evaluation.statistics.intervals import compare_pairs, wilson_interval

outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def table(both, only_a, only_b, neither):
    """Two sequences of outcomes with the given fourfold table."""
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return a, b


# One rate


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17:857 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # z² / (n + z²) and its mirror image
        (0, 10, 0.0000, 0.2775),
        (10, 10, 0.7225, 1.0000),
    ],
)
def test_wilsons_interval_is_the_published_one(successes, n, low, high):
    rate = wilson_interval(successes, n)
    assert rate.value == successes / n
    assert (rate.low, rate.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_contains_its_rate_lies_in_zero_to_one_and_mirrors(case):
    successes, n = case
    rate, mirrored = wilson_interval(successes, n), wilson_interval(n - successes, n)
    assert 0 <= rate.low <= rate.value + 1e-12
    assert rate.value - 1e-12 <= rate.high <= 1
    assert (mirrored.low, mirrored.high) == (pytest.approx(1 - rate.high), pytest.approx(1 - rate.low))


def test_more_episodes_narrow_an_interval_and_more_certainty_widens_it():
    width = [wilson_interval(n // 2, n).high - wilson_interval(n // 2, n).low for n in (10, 40, 160)]
    assert width[0] > width[1] > width[2]
    assert wilson_interval(20, 40, level=0.99).low < wilson_interval(20, 40).low


# Pairs


@pytest.mark.parametrize(
    ("cells", "difference", "low", "high"),
    # Differences are a − b. Newcombe, Statistics in Medicine 17:2635 (1998), table II, method 10; and, where the pairs
    # agree, the paired 2×2 table of Cavo et al. (2012) as in the tests of R's contingencytables (Fagerland et al.).
    [((36, 12, 2, 0), 0.2, 0.0569, 0.3404), ((59, 6, 16, 80), -0.0621, -0.1186, -0.0046)],
)
def test_newcombes_paired_interval_is_the_published_one(cells, difference, low, high):
    a, b = table(*cells)
    estimate = compare_pairs(b, a).difference
    assert estimate.value == pytest.approx(difference, abs=5e-5)
    assert (estimate.low, estimate.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    "shares",
    [
        (0.25, 0.25, 0.25, 0.25),
        (0.7, 0.1, 0.15, 0.05),
        (0.45, 0.05, 0.4, 0.1),
        (0.85, 0.02, 0.1, 0.03),
        (0.1, 0.4, 0.4, 0.1),
    ],
    ids=str,
)
def test_the_paired_interval_covers_the_true_difference_at_forty_episodes(shares):
    """Every fourfold table of 40 pairs, weighted with its multinomial probability: no sampling error."""
    n, covered, total = 40, 0.0, 0.0
    true_difference = shares[2] - shares[1]
    for both in range(n + 1):
        for only_a in range(n + 1 - both):
            for only_b in range(n + 1 - both - only_a):
                neither = n - both - only_a - only_b
                ways = comb(n, both) * comb(n - both, only_a) * comb(n - both - only_a, only_b)
                probability = ways * np.prod(np.power(shares, (both, only_a, only_b, neither)))
                if probability < 1e-9:
                    continue
                difference = compare_pairs(*table(both, only_a, only_b, neither)).difference
                covered += probability * (difference.low <= true_difference <= difference.high)
                total += probability
    assert total == pytest.approx(1, abs=1e-4)
    assert 0.93 <= covered <= 0.985


def test_agreement_within_the_continuity_correction_counts_as_none():
    """1·12 − 1·7 = 5, less than half of the 21 pairs: the two Wilson intervals are combined as if independent."""
    a, b = table(1, 1, 7, 12)
    difference, first, second = compare_pairs(a, b).difference, wilson_interval(2, 21), wilson_interval(8, 21)
    down = np.hypot(second.value - second.low, first.high - first.value)
    up = np.hypot(second.high - second.value, first.value - first.low)
    assert difference.low == pytest.approx(difference.value - down)
    assert difference.high == pytest.approx(difference.value + up)


def test_agreement_narrows_the_interval_of_a_difference():
    alike = compare_pairs(*table(28, 2, 6, 4)).difference  # 30 and 34 of 40, mostly the same episodes
    unlike = compare_pairs(*table(24, 6, 10, 0)).difference
    assert alike.value == unlike.value == pytest.approx(0.1)
    assert alike.high - alike.low < unlike.high - unlike.low


@given(outcomes)
def test_swapping_the_two_policies_mirrors_the_comparison(pairs):
    a, b = map(list, zip(*pairs, strict=True))
    forth, back = compare_pairs(a, b), compare_pairs(b, a)
    assert -1 <= forth.difference.low <= forth.difference.value <= forth.difference.high <= 1
    assert forth.difference.low == pytest.approx(-back.difference.high)
    assert forth.p_value == back.p_value
    assert (forth.only_a, forth.only_b) == (back.only_b, back.only_a)


def test_discordant_pairs_are_named_by_their_index():
    comparison = compare_pairs([True, True, False, False, True], [True, False, True, False, False])
    assert (comparison.pairs, comparison.only_a, comparison.only_b) == (5, [1, 4], [2])
    assert comparison.difference.value == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p_value"),
    [(0, 0, 1.0), (3, 3, 1.0), (0, 5, 2 / 2**5), (1, 9, 2 * 11 / 2**10), (0, 1, 1.0), (10, 2, 2 * 79 / 2**12)],
)
def test_mcnemars_test_is_the_exact_binomial_one(only_a, only_b, p_value):
    assert compare_pairs(*table(7, only_a, only_b, 3)).p_value == pytest.approx(p_value)


@pytest.mark.parametrize(("a", "b"), [([], []), ([True], [True, False])])
def test_sequences_that_cannot_be_paired_are_refused(a, b):
    with pytest.raises(ValueError, match="equally long"):
        compare_pairs(a, b)
