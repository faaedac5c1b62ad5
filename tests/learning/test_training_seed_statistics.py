"""Statistics over training seeds: known p-values, brute force, coverage, and when there is no claim."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachy_policies.evaluation.statistics.training_seeds import (
    compare_trainings,
    interquartile_mean,
    interquartile_mean_interval,
    mean_interval,
    sign_flip_p,
)

shares = st.lists(st.integers(-100, 100).map(lambda count: count / 100), min_size=1, max_size=9)

# Sign flips


@given(shares)
def test_the_sign_flip_test_counts_every_choice_of_signs(differences):
    """The sums are of whole hundredths, so that ties are exact."""
    hundredths = [round(100 * difference) for difference in differences]
    sums = [abs(sum(a * b for a, b in zip(signs, hundredths, strict=True)))
            for signs in product((-1, 1), repeat=len(hundredths))]  # fmt: skip
    expected = np.mean([total >= abs(sum(hundredths)) for total in sums])
    assert sign_flip_p(np.array(differences)) == expected


@pytest.mark.parametrize("n", [5, 6, 10, 16])
def test_differences_of_equal_sign_have_the_smallest_p(n):
    assert sign_flip_p(np.linspace(0.01, 0.3, n)) == 2 / 2**n


def test_balanced_differences_have_a_p_of_one():
    assert sign_flip_p(np.zeros(10)) == 1
    assert sign_flip_p(np.array([0.1, -0.1] * 4)) == 1


def test_random_flips_agree_with_the_exact_test():
    differences = np.random.default_rng(3).normal(0.03, 0.1, 16)
    padded = np.append(differences, 0.0)  # a zero changes no sum, but is a seventeenth pair
    exact, drawn = sign_flip_p(differences), sign_flip_p(padded)
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 65_536))
    assert drawn == sign_flip_p(padded)
    assert sign_flip_p(np.ones(40)) == pytest.approx(1 / 65_537)


def test_the_test_rejects_at_its_significance_level():
    rng = np.random.default_rng(0)
    rejected = [sign_flip_p(rng.normal(0, 1, 10)) < 0.05 for _ in range(1000)]
    assert 0.03 <= np.mean(rejected) <= 0.07


# Verdicts


@pytest.mark.parametrize(
    ("pairs", "p_value", "verdict"),
    [
        (1, None, "can't tell"),
        (5, None, "can't tell"),
        (6, 2 / 2**6, "can't tell"),
        (9, 2 / 2**9, "can't tell"),
        (10, 2 / 2**10, "gained"),
        (17, pytest.approx(1 / 65_537, rel=2), "gained"),
    ],
)
def test_few_pairs_give_no_p_and_no_claim(pairs, p_value, verdict):
    differences = np.linspace(0.1, 0.3, pairs)
    gained, lost = compare_trainings(differences), compare_trainings(-differences)
    assert (gained.p_value, gained.verdict) == (p_value, verdict)
    assert lost.verdict == {"gained": "lost"}.get(verdict, verdict)
    assert gained.difference.value == -lost.difference.value


@pytest.mark.parametrize(
    ("spread", "margin", "verdict"), [(0.02, 0.05, "kept"), (0.02, 0.005, "can't tell"), (0.2, 0.05, "can't tell")]
)
def test_kept_needs_an_interval_within_the_margin(spread, margin, verdict):
    differences = spread * np.array([1, -1] * 5)
    assert compare_trainings(differences, margin).verdict == verdict


def test_equal_trainings_do_not_differ():
    same = compare_trainings(np.zeros(10))
    assert (same.difference.value, same.difference.low, same.difference.high) == (0, 0, 0)
    assert (same.p_value, same.verdict) == (1, "kept")
    assert compare_trainings(np.zeros(9)).verdict == "can't tell"


# Intervals


def test_the_interval_of_a_mean_is_students():
    """Student's own data (Biometrika 6, 1908): extra sleep of ten patients, mean 1.58, 95 % interval 0.70 to 2.46."""
    sleep = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    estimate = mean_interval(sleep)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((1.58, 0.7001, 2.4599), abs=1e-4)
    assert mean_interval(sleep[:1]).high == np.inf


def test_the_interquartile_mean_ignores_the_outer_quarters():
    assert interquartile_mean(np.array([[-1e9, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 1e9]])) == (2 + 3 + 4 + 5) / 4


def test_the_bootstrap_over_trainings_covers_the_truth_where_pooled_episodes_would_not():
    """Trainings differ by 1, the episodes of one training by 0.3: twelve numbers, not 240."""
    rng, covered, pooled = np.random.default_rng(1), [], []
    for _ in range(150):
        scores = rng.normal(0, 1, (12, 1)) + rng.normal(0, 0.3, (12, 20))
        estimate = interquartile_mean_interval(scores)
        covered.append(estimate.low <= 0 <= estimate.high)
        naive = 1.96 * scores.std() / np.sqrt(scores.size)
        pooled.append(abs(scores.mean()) <= naive)
    assert 0.87 <= np.mean(covered) <= 0.99
    assert np.mean(pooled) < 0.6


def test_the_bootstrap_is_repeatable_and_resamples_only_trainings():
    scores = np.random.default_rng(2).normal(size=(6, 50))
    assert interquartile_mean_interval(scores) == interquartile_mean_interval(scores)
    alike = np.tile(scores[:1], (6, 1))
    estimate = interquartile_mean_interval(alike)
    assert estimate.low == pytest.approx(estimate.value) == pytest.approx(estimate.high)


def test_one_training_has_no_interval_over_trainings():
    estimate = interquartile_mean_interval(np.arange(8.0)[None])
    assert estimate.value == 3.5
    assert np.isnan([estimate.low, estimate.high]).all()
