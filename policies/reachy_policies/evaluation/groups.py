"""Training groups: a way of training with one run per training seed, or a policy without training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.perception.features import require_features
from reachy_policies.rollouts.episode_batch import BatchPolicy
from reachy_policies.runs.policy_loader import batch_policy
from reachy_policies.runs.run_files import CHECKPOINTS, numbered_runs, run_folders, training_command
from reachy_policies.runs.saved_run import Run, open_run, weights_digest


@dataclass(frozen=True)
class TrainingGroup:
    """One or several trainings of one kind, or a policy without training."""

    name: str
    hz: int
    """Decisions per second."""
    trainings: tuple[int | None, ...]
    """Training seeds; a single None for a policy without training."""
    policies: tuple[Callable[[Sequence[int]], BatchPolicy], ...]
    """One per training: makes the policy for a batch of episodes from their seeds."""
    runs: tuple[Run, ...] = ()
    """One per training; empty for a policy without training."""

    @property
    def trained(self) -> bool:
        """Whether the group was trained at all."""
        return bool(self.runs)

    def checkpoints(self, training: int) -> list["TrainingGroup"]:
        """Groups of the earlier weights of one training, given by its index, earliest first."""
        if not self.runs:
            return []
        paths = numbered_runs(self.runs[training].path / CHECKPOINTS, "*")
        return [_group(f"{self.name} at {path.name}", [open_run(path)]) for path in paths]

    def summary(self) -> dict[str, Any]:
        """Return the evaluated runs as JSON, with the digests of their weights."""
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


def open_group(name: str, path: Path, task: str, features: tuple[str, ...]) -> TrainingGroup:
    """Open the runs of a training group.

    Args:
        name: the group's name in tables.
        path: a run, or a folder of runs ``seed-0``, ``seed-1`` …
        task: task that they must be trained for.
        features: features that they must take.

    Raises:
        WrongUseError: the folder holds no run, or a run is for another task.
        RefusedError: the runs take other features, or do not belong together.
    """
    folders = run_folders(path)
    if not folders:
        what = "holds no run" if path.is_dir() else "does not exist"
        raise WrongUseError(
            f"{path} {what}: a group is a run, or a folder of runs seed-0, seed-1 …. "
            f"Train one: {training_command(path, seeds=10)}"
        )
    runs = [open_run(folder) for folder in folders]
    for run in runs:
        if run.card.task != task:
            raise WrongUseError(
                f"{run.path} was trained for {run.card.task}, not for {task}: give --task {run.card.task}"
            )
        require_features(str(run.path), run.card.environment_state, features)
        same_seed = next(other for other in runs if other.card.seed == run.card.seed)
        if same_seed is not run:
            raise RefusedError(
                f"{same_seed.path} and {run.path} have the same training seed {run.card.seed}: remove one of them"
            )
        if run.card.policy_hz != runs[0].card.policy_hz:
            raise RefusedError(f"{runs[0].path} and {run.path} decide at different rates: give them as two groups")
    return _group(name, sorted(runs, key=lambda run: run.card.seed))


def _group(name: str, runs: Sequence[Run]) -> TrainingGroup:
    torch.set_num_threads(1)  # small networks, and with another job on the machine two threads were 14–32 times slower
    loaded: dict[Path, BatchPolicy] = {}

    def load(run: Run) -> BatchPolicy:
        if run.path not in loaded:
            loaded[run.path] = batch_policy(run)
        return loaded[run.path]

    policies = tuple((lambda seeds, run=run: load(run)) for run in runs)
    return TrainingGroup(name, runs[0].card.policy_hz, tuple(run.card.seed for run in runs), policies, tuple(runs))
