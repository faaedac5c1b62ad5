"""Seeds of episodes: disjoint ranges by purpose, so that no policy is evaluated on an episode it was trained on.

==============================  ===========================================================  ========================
 seeds                          episodes                                                     drawn with
==============================  ===========================================================  ========================
 0 … 499,999                    evaluations that are reported: ``eval``, ``demo``            ``evaluation_seeds``
 500,000 … 999,999              measurements of ``tests/bench``                              ``BENCH_SEEDS``
 1,000,000 … 4,999,999          recordings and DAgger corrections of the run seeds 0 to 3    ``recording_seeds``,
                                                                                             ``dagger_seeds``
 5,000,000 … 8,999,999          validation: they choose the best checkpoint                  ``VALIDATION_SEEDS``
 9,000,000 + 10⁸ s …            training of the run seed s, 10⁸ episodes                     ``iteration_seeds``,
                                                                                             ``demonstration_seeds``
 10¹⁵ + 10⁶ s …                 recordings and corrections of the run seeds s from 4         as above
==============================  ===========================================================  ========================

A *run seed* is what a person gives as ``--seed``. Every number here is below 2⁵³, so that JavaScript can hold it.
"""

from collections.abc import Collection

from reachy_kit.runtime.errors import WrongUseError

RUN_SEEDS = range(1_000_000)
"""Valid values of ``--seed`` of a recording or a training."""
EVALUATION_SEEDS = range(500_000)
"""Episodes whose results are reported."""
BENCH_SEEDS = range(500_000, 1_000_000)
"""Episodes of the measurements in ``tests/bench``."""
VALIDATION_SEEDS = range(5_000_000, 9_000_000)
"""Episodes that choose the best checkpoint; neither trained on nor reported."""

_PER_RECORDING = 1_000_000
"""Seeds for each run seed: the first half is recorded, the second half is driven by a policy that DAgger corrects."""
_LOW_RECORDINGS = 4
"""Run seeds whose recordings fit between the benches and the validation."""
_HIGH_RECORDINGS = 10**15
"""Beyond every training: recordings of the other run seeds count from here."""
_FIRST_ITERATION = 10_000_000
_PER_TRAINING = 100_000_000
_DEMONSTRATIONS = 1_000_000
"""Seeds before a training's first iteration, for the expert's episodes that it starts from."""


def evaluation_seeds(first: int, episodes: int) -> range:
    """Seeds of an evaluation that is reported.

    Args:
        first: seed of its first episode.
        episodes: number of episodes.

    Raises:
        WrongUseError: the range would reach the seeds that are recorded or trained on.
    """
    seeds = range(first, first + episodes)
    if first < 0 or seeds.stop > EVALUATION_SEEDS.stop:
        raise WrongUseError(
            f"--seed {first} with {episodes} episodes leaves the seeds of evaluations, 0 to {EVALUATION_SEEDS[-1]}; "
            "what is recorded and trained on comes after them"
        )
    return seeds


def recording_seeds(run_seed: int) -> range:
    """Seeds of a recording's episodes, the first one for the first episode.

    Raises:
        WrongUseError: the run seed is outside ``RUN_SEEDS``.
    """
    first = _first_recorded(run_seed)
    return range(first, first + _PER_RECORDING // 2)


def dagger_seeds(run_seed: int) -> range:
    """Seeds of the episodes that a policy drives while an expert corrects it; same arguments as `recording_seeds`."""
    first = _first_recorded(run_seed)
    return range(first + _PER_RECORDING // 2, first + _PER_RECORDING)


def unused_seeds(seeds: range, stored: Collection[int]) -> range:
    """The rest of a range of seeds, after the highest one that is stored.

    Counting episodes would repeat seeds as soon as an episode was deleted.

    Args:
        seeds: a recording's, or DAgger's.
        stored: seeds of the episodes that exist; those of other ranges do not matter.
    """
    return range(max((seed for seed in stored if seed in seeds), default=seeds.start - 1) + 1, seeds.stop)


def run_seed_of(seed: int) -> int | None:
    """The run seed whose recording an episode's seed belongs to; None if it belongs to none."""
    base = _HIGH_RECORDINGS if seed >= _HIGH_RECORDINGS else _PER_RECORDING
    run_seed = (seed - base) // _PER_RECORDING
    return run_seed if run_seed in RUN_SEEDS and seed in recording_seeds(run_seed) else None


def training_seeds(run_seed: int) -> range:
    """Seeds of all episodes of a training by reinforcement; same arguments as `recording_seeds`."""
    first = _first_iteration(run_seed) - _DEMONSTRATIONS
    return range(first, first + _PER_TRAINING)


def iteration_seeds(run_seed: int, iteration: int, count: int) -> range:
    """Seeds of the episodes of one training iteration.

    Args:
        run_seed: of the training.
        iteration: from 0.
        count: episodes per iteration.

    Raises:
        WrongUseError: the run seed is outside ``RUN_SEEDS``, or the training has used up its seeds.
    """
    first = _first_iteration(run_seed) + iteration * count
    return _within(training_seeds(run_seed), range(first, first + count))


def demonstration_seeds(run_seed: int, batch: int, count: int) -> range:
    """Seeds of the expert's episodes that a training starts from; they count down from its iteration 0.

    Args:
        run_seed: of the training.
        batch: which of the expert's batches, from 0; batch 0 has the episodes of iteration 0.
        count: episodes per batch.

    Raises:
        WrongUseError: the run seed is outside ``RUN_SEEDS``, or there are too many batches.
    """
    first = _first_iteration(run_seed) - batch * count
    return _within(training_seeds(run_seed), range(first, first + count))


def _first_recorded(run_seed: int) -> int:
    base = _PER_RECORDING if _require_run_seed(run_seed) < _LOW_RECORDINGS else _HIGH_RECORDINGS
    return base + _PER_RECORDING * run_seed


def _first_iteration(run_seed: int) -> int:
    return _FIRST_ITERATION + _PER_TRAINING * _require_run_seed(run_seed)


def _require_run_seed(run_seed: int) -> int:
    if run_seed not in RUN_SEEDS:
        raise WrongUseError(f"--seed {run_seed} does not fit: seeds go from 0 to {RUN_SEEDS[-1]}")
    return run_seed


def _within(block: range, seeds: range) -> range:
    if seeds.start < block.start or seeds.stop > block.stop:
        raise WrongUseError(f"a training has seeds for {len(block):,} episodes; this one needs more")
    return seeds
