"""What is judged: arms, each a way of training with one run a training seed, and policies that nobody trained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_policies.models.chunk import ReachyChunkPolicy
from reachy_policies.models.lerobot import batch_policy_of
from reachy_policies.rollouts.episode_batch import BatchPolicy, ChunkBatch
from reachy_policies.runs.run import CARD, CHECKPOINTS, Run, open_run, weights_digest


@dataclass(frozen=True)
class TrainingGroup:
    """Something to judge."""

    name: str
    hz: int
    """Decisions a second."""
    trainings: tuple[int | None, ...]
    """Seeds; a single None for what was not trained."""
    policies: tuple[Callable[[Sequence[int]], BatchPolicy], ...]
    """One a training: takes the seeds of the episodes that are played at once."""
    runs: tuple[Run, ...] = ()
    """One a training; none for what was not trained."""

    @property
    def trained(self) -> bool:
        """Whether there was any training."""
        return bool(self.runs)

    def checkpoints(self, training: int) -> list["TrainingGroup"]:
        """The earlier weights of one of the trainings, by its place, the earliest first."""
        if not self.runs:
            return []
        folder = self.runs[training].path / CHECKPOINTS
        found = [card.parent for card in folder.glob(f"*/{CARD}")]
        found.sort(key=lambda path: (len(path.name), path.name))  # 5 before 10
        return [_arm(f"{self.name} at {path.name}", [open_run(path)]) for path in found]

    def summary(self) -> dict[str, Any]:
        """For scripts: what exactly was judged."""
        return {
            "name": self.name,
            "policy_hz": self.hz,
            "runs": [
                {
                    "path": str(run.path),
                    "seed": run.card.seed,
                    "method": run.card.method,
                    "policy": run.card.policy,
                    "variant": run.card.variant,
                    "weights_sha256": weights_digest(run.path),
                    "versions": run.card.versions,
                }
                for run in self.runs
            ],
        }


def batch_policy(run: Run) -> BatchPolicy:
    """A run's policy, deciding for many environments at once.

    Raises:
        RefusedError: its files are damaged.
    """
    if run.card.policy == ReachyChunkPolicy.name:
        policy = run.load()
        if policy.config.temporal_ensemble_coeff is None:
            return ChunkBatch(policy.network, policy.config)
    return batch_policy_of(run)


def run_folders(path: Path) -> list[Path]:
    """The runs of an arm: the folder itself, or its seed-0, seed-1 …; none where there are none."""
    if (path / CARD).is_file():
        return [path]
    found = [card.parent for card in path.glob(f"seed-*/{CARD}")]
    return sorted(found, key=lambda folder: (len(folder.name), folder.name))


def open_group(name: str, path: Path, task: str, features: tuple[str, ...]) -> TrainingGroup:
    """Open the runs of an arm.

    Args:
        name: what tables call it.
        path: a run, or a folder of runs ``seed-0``, ``seed-1`` …
        task: that they must have been trained for.
        features: that they must look at.

    Raises:
        WrongUseError: there are none, or they are for another task.
        RefusedError: they look at other features, or do not belong together.
    """
    folders = run_folders(path)
    if not folders:
        what = "holds no run" if path.is_dir() else "does not exist"
        raise WrongUseError(
            f"{path} {what}: an arm is a run, or a folder with seed-0, seed-1 …, a run each. "
            f"Train one: reachy-kit train imitation --seeds 10 --out {path}"
        )
    runs = [open_run(folder) for folder in folders]
    for run in runs:
        if run.card.task != task:
            raise WrongUseError(f"{run.path} was trained for {run.card.task}, not for {task}")
        if run.card.environment_state != features:
            raise RefusedError(
                f"{run.path} was trained on {', '.join(run.card.environment_state)}, not {', '.join(features)}"
            )
        twin = next(other for other in runs if other.card.seed == run.card.seed)
        if twin is not run:
            raise RefusedError(f"{twin.path} and {run.path} have the training seed {run.card.seed}: one must go")
        if run.card.policy_hz != runs[0].card.policy_hz:
            raise RefusedError(f"{runs[0].path} and {run.path} decide at different rates: they are no one arm")
    return _arm(name, sorted(runs, key=lambda run: run.card.seed))


def _arm(name: str, runs: Sequence[Run]) -> TrainingGroup:
    torch.set_num_threads(1)  # small networks, and with another job on the machine two threads were 14–32 times slower
    made: dict[Path, BatchPolicy] = {}

    def policy_of(run: Run) -> BatchPolicy:
        if run.path not in made:
            made[run.path] = batch_policy(run)
        return made[run.path]

    policies = tuple((lambda seeds, run=run: policy_of(run)) for run in runs)
    return TrainingGroup(name, runs[0].card.policy_hz, tuple(run.card.seed for run in runs), policies, tuple(runs))
