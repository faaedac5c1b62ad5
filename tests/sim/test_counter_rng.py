"""Counter-based random numbers: uniform, independent, and the same whatever the batch."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachy_sim import counter_rng

COUNT = 20_000
counters = st.integers(0, 2**64 - 1)


def keys_of(values):
    return np.atleast_1d(np.asarray(values, dtype=np.uint64))


def column(by, other=3):
    """First numbers (COUNT,), while one key counts up and the others stay."""
    up, still = np.arange(COUNT, dtype=np.uint64), np.full(COUNT, other, dtype=np.uint64)
    if by == "seed":
        return counter_rng.uniform(up, still, counter_rng.SENSING, 1)[:, 0]
    if by == "episode":
        return counter_rng.uniform(still, up, counter_rng.SENSING, 1)[:, 0]
    if by == "step":
        return counter_rng.uniform(still, still, counter_rng.SENSING, 1, up)[:, 0]
    return counter_rng.uniform(still[:1], still[:1], counter_rng.SENSING, COUNT)[0]


every_key = pytest.mark.parametrize("by", ["seed", "episode", "step", "number"])


@every_key
@pytest.mark.parametrize("other", [0, 3, 2**40])
def test_numbers_are_uniform_whichever_key_counts_up(by, other):
    values = column(by, other)
    assert (values >= 0).all()
    assert (values < 1).all()
    counts, _ = np.histogram(values, bins=100, range=(0, 1))
    chi_square = np.sum((counts - COUNT / 100) ** 2) / (COUNT / 100)
    assert 50 < chi_square < 165  # 99 degrees of freedom: outside once in 20,000 on either side


@every_key
def test_neighbours_are_independent(by):
    values = column(by)
    for lag in (1, 2, 7):
        assert abs(np.corrcoef(values[:-lag], values[lag:])[0, 1]) < 4 / np.sqrt(COUNT)
    pairs, _, _ = np.histogram2d(values[::2], values[1::2], bins=10)
    expected = COUNT / 2 / 100
    assert np.sum((pairs - expected) ** 2) / expected < 165


STREAMS = (counter_rng.SCENARIO, counter_rng.DOMAIN, counter_rng.SENSING, counter_rng.POLICY, counter_rng.VISUALS)


@pytest.mark.parametrize(("lower", "upper"), list(itertools.combinations(STREAMS, 2)))
def test_streams_are_independent_of_each_other(lower, upper):
    seeds, episodes = np.arange(COUNT, dtype=np.uint64), np.zeros(COUNT, dtype=np.uint64)
    first, second = (counter_rng.uniform(seeds, episodes, stream, 1)[:, 0] for stream in (lower, upper))
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(COUNT)
    assert not np.intersect1d(first, second).size


def test_seed_episode_stream_and_step_are_not_interchangeable():
    cube = np.stack(np.meshgrid(*[np.arange(8, dtype=np.uint64)] * 3), axis=-1).reshape(-1, 3)
    numbers = [counter_rng.uniform(cube[:, 0], cube[:, 1], stream, 4, cube[:, 2]).ravel() for stream in STREAMS]
    assert len(np.unique(numbers)) == np.size(numbers)


@given(seed=counters, episode=counters, step=st.integers(0, 2**40), count=st.integers(1, 8), place=st.integers(0, 5))
def test_a_draw_depends_on_its_keys_alone_and_not_on_the_batch(seed, episode, step, count, place):
    rng = np.random.default_rng(place)
    keys = rng.integers(0, 2**63, (3, 6)).astype(np.uint64)
    keys[:, place] = seed, episode, step
    single = counter_rng.uniform(keys_of(seed), keys_of(episode), counter_rng.POLICY, count, keys_of(step))
    among = counter_rng.uniform(keys[0], keys[1], counter_rng.POLICY, 8, keys[2])
    np.testing.assert_array_equal(among[place, :count], single[0])


def test_a_draw_is_the_same_on_every_computer():
    """Recorded seeds must always mean the same episodes."""
    numbers = counter_rng.uniform(keys_of([0, 1]), keys_of([0, 5]), counter_rng.SCENARIO, 2)
    np.testing.assert_array_equal(
        numbers, [[0.8833108082136426, 0.43152799704850997], [0.2059307210289768, 0.00693999163524861]]
    )


def test_normal_numbers_have_normal_moments():
    seeds = np.arange(COUNT, dtype=np.uint64)
    values = counter_rng.normal(counter_rng.uniform(seeds, seeds * 0, counter_rng.SENSING, 4))
    assert values.shape == (COUNT, 4)
    error = 4 / np.sqrt(COUNT)
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=error)
    np.testing.assert_allclose(values.var(axis=0), 1, atol=error * np.sqrt(2))
    np.testing.assert_allclose((values**3).mean(axis=0), 0, atol=error * np.sqrt(15))
    np.testing.assert_allclose((values**4).mean(axis=0), 3, atol=error * np.sqrt(96))
    np.testing.assert_allclose(np.corrcoef(values.T), np.eye(4), atol=error)
    assert (np.abs(values) > 1.96).mean() == pytest.approx(0.05, abs=0.004)


def test_normal_numbers_are_finite_at_the_edges():
    edge = np.array([[0.0, 1 - 2**-53, 0.0, 1 - 2**-53]])
    assert np.isfinite(counter_rng.normal(edge)).all()
