"""Seeds of the episodes that a recording adds to a dataset."""

from collections.abc import Collection
from pathlib import Path

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.seeds import dagger_seeds, recording_seeds, run_seed_of, unused_seeds


def remaining_seeds(out: Path, seed: int, stored: Collection[int], missing: int, *, corrections: bool = False) -> range:
    """Seeds of a recording that a dataset has not used, after those that it holds.

    Args:
        out: folder of the dataset.
        seed: the recording's.
        stored: seeds of the episodes in the dataset.
        missing: episodes that it lacks.
        corrections: whether a policy drives, which a person corrects: such episodes have seeds of their own, and may
            be added to any dataset.

    Returns:
        At least as many as are missing; none if none is missing.

    Raises:
        WrongUseError: the dataset holds episodes, but none of this seed, or the seed has too few left.
    """
    seeds = dagger_seeds(seed) if corrections else recording_seeds(seed)
    if missing <= 0:
        return seeds[:0]
    if not corrections and stored and not any(episode_seed in seeds for episode_seed in stored):
        recorded = run_seed_of(max(stored))
        advice = "Record" if recorded is None else f"Continue it with --seed {recorded}, or record"
        raise WrongUseError(
            f"{out} holds no episode of --seed {seed}: its episodes have the seeds {min(stored)} to {max(stored)}. "
            f"{advice} into another folder with --out"
        )
    rest = unused_seeds(seeds, stored)
    if missing > len(rest):
        raise WrongUseError(
            f"--seed {seed} has {len(rest)} seeds left for {out}. Record into another folder with --out"
        )
    return rest
