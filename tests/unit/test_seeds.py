"""Seeds: nothing is evaluated on an episode that was recorded or trained on, whatever --seed a person gives."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.seeds import (
    BENCH_SEEDS,
    EVALUATION_SEEDS,
    RUN_SEEDS,
    VALIDATION_SEEDS,
    dagger_seeds,
    demonstration_seeds,
    evaluation_seeds,
    iteration_seeds,
    recording_seeds,
    run_seed_of,
    training_seeds,
    unused_seeds,
)

run_seeds = st.one_of(st.integers(0, 12), st.integers(0, RUN_SEEDS[-1]), st.just(RUN_SEEDS[-1]))


def assert_disjoint(*ranges):
    for one, other in itertools.pairwise(sorted(ranges, key=lambda seeds: seeds.start)):
        assert one.stop <= other.start, f"{one} and {other} overlap"


@given(recorded=run_seeds, trained=run_seeds)
def test_no_two_uses_share_an_episode(recorded, trained):
    assert_disjoint(
        EVALUATION_SEEDS,
        BENCH_SEEDS,
        VALIDATION_SEEDS,
        recording_seeds(recorded),
        dagger_seeds(recorded),
        training_seeds(trained),
    )


@given(one=run_seeds, other=run_seeds)
def test_no_two_run_seeds_share_an_episode(one, other):
    seeds = dict.fromkeys((one, other))
    assert_disjoint(*(use(seed) for seed in seeds for use in (recording_seeds, dagger_seeds, training_seeds)))


@given(seed=run_seeds, iteration=st.integers(0, 10_000), count=st.integers(1, 4_096))
def test_a_training_draws_from_its_own_seeds(seed, iteration, count):
    own, drawn = training_seeds(seed), iteration_seeds(seed, iteration, count)
    assert drawn.start in own and drawn[-1] in own
    assert len(drawn) == count
    assert iteration_seeds(seed, iteration + 1, count).start == drawn.stop
    batch = demonstration_seeds(seed, iteration % 100, count)
    assert batch.start in own and batch[-1] in own
    assert iteration % 100 == 0 or batch.stop <= iteration_seeds(seed, 0, count).start


@given(seed=run_seeds)
def test_javascript_can_hold_every_seed(seed):
    assert max(training_seeds(seed)[-1], dagger_seeds(seed)[-1]) < 2**53


def test_what_was_recorded_and_trained_is_recorded_and_trained_again():
    assert [recording_seeds(seed).start for seed in range(4)] == [1_000_000, 2_000_000, 3_000_000, 4_000_000]
    assert dagger_seeds(0).start == 1_500_000
    assert VALIDATION_SEEDS.start == 5_000_000
    assert iteration_seeds(0, 0, 64).start == demonstration_seeds(0, 0, 64).start == 10_000_000
    assert iteration_seeds(3, 2, 256).start == 310_000_512
    assert demonstration_seeds(0, 1, 64) == range(9_999_936, 10_000_000)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: recording_seeds(-1),
        lambda: recording_seeds(1_000_000),
        lambda: training_seeds(1_000_000),
        lambda: iteration_seeds(0, 1_000_000, 100),
        lambda: demonstration_seeds(0, 1_001, 1_000),
        lambda: evaluation_seeds(499_999, 2),
        lambda: evaluation_seeds(1_000_000, 1),
    ],
)
def test_seeds_that_belong_to_something_else_are_refused(draw):
    with pytest.raises(WrongUseError):
        draw()


@given(run_seeds, st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_a_recording_continues_after_its_highest_seed_whatever_else_is_stored(run_seed, ours, others):
    seeds = recording_seeds(run_seed)
    stored = [seeds[index] for index in ours] + [dagger_seeds(run_seed)[index] for index in others]
    rest = unused_seeds(seeds, stored)
    assert rest == seeds[max(ours, default=-1) + 1 :]
    assert not set(rest[:30]) & set(stored)


@given(run_seeds)
def test_the_run_seed_of_a_recorded_episode_is_known(run_seed):
    seeds = recording_seeds(run_seed)
    assert run_seed_of(seeds[0]) == run_seed_of(seeds[-1]) == run_seed
    assert run_seed_of(dagger_seeds(run_seed)[0]) is None
    assert run_seed_of(EVALUATION_SEEDS[0]) is run_seed_of(EVALUATION_SEEDS[-1]) is None
