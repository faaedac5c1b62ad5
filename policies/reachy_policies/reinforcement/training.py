"""The training around every way of learning in the simulator: rounds, evaluations, checkpoints, going on after a crash.

A learner only knows how to do a round. Seeds of a round follow from the run's seed and the round's number, so that a
checkpoint between two rounds is all there is to remember.
"""

import csv
import io
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from lerobot.policies.pretrained import PreTrainedPolicy
from torch import Tensor

from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_kit.runtime.seeds import VALIDATION_SEEDS
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
from reachy_policies.rollouts.episode_batch import BatchPolicy, play
from reachy_policies.runs.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

LAST, BEST = "last.safetensors", "best.safetensors"
_ROLLBACKS = 3


class Learner(Protocol):
    """A way of getting better."""

    @property
    def env_steps(self) -> int:
        """Decisions of all environments so far."""
        ...

    def round(self, iteration: int) -> dict[str, float]:
        """Collect and learn once; returns what is worth logging."""
        ...

    def acting(self) -> BatchPolicy:
        """What it has learned, without exploration, for as many environments as are evaluated."""
        ...

    def policy(self) -> PreTrainedPolicy:
        """What it has learned, to be saved."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All that changes, but numbers."""
        ...

    def numbers(self) -> dict[str, Any]:
        """Numbers that change, JSON."""
        ...

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Put back what ``tensors`` and ``numbers`` gave."""
        ...

    def halve_learning_rates(self) -> None:
        """Halve the rates: a round ended in numbers that are none."""
        ...


@dataclass(frozen=True)
class EvalPoint:
    """One look at a training."""

    iteration: int
    seconds: float
    """Wall time of training, evaluations included."""
    env_steps: int
    success: float
    """Share of the held-out episodes."""
    error: float
    """rad, mean over them after the first second."""
    reward: float
    """Mean a decision, on them."""
    jerk: float
    """rad/s³ of the commands."""
    log: dict[str, float]
    """What the learner tells."""

    def flat(self) -> dict[str, float]:
        """One level of numbers, for a table."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "log"}
        return {**own, **self.log}


def rounds_table(history: list[EvalPoint]) -> bytes:
    """The history as CSV; cells are empty where nothing was told."""
    rows = [one.flat() for one in history]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@dataclass(frozen=True)
class Reinforced:
    """A finished training."""

    policy: PreTrainedPolicy
    history: list[EvalPoint]
    best: EvalPoint
    seconds: float
    rollbacks: int


def train(
    learner: Learner,
    eval_envs: VectorEnv[Any, Any, Any],
    config: ReinforceConfig,
    folder: Path,
    identity: Mapping[str, Any],
    on_round: Callable[[int, EvalPoint | None], None] = lambda iteration, round: None,
    on_look: Callable[[EvalPoint], None] = lambda look: None,
) -> Reinforced:
    """Do all rounds, from the last checkpoint if there is one.

    Args:
        learner: fresh.
        eval_envs: environments of the held-out episodes.
        config: how many rounds, how often to look.
        folder: where checkpoints lie.
        identity: what the training is of; a checkpoint of another one is refused.
        on_round: told of every round, with a look at it where there was one.
        on_look: told of every look before it is remembered; after a crash it may be told again.

    Raises:
        RefusedError: the folder holds another training.
        KitError: it diverges, or a checkpoint cannot be written.
    """
    torch.set_num_threads(config.threads)
    state = _State.open(folder, learner, identity)
    if state.iteration == 0:
        state.look(learner, eval_envs, config, on_look)
        on_round(0, state.history[-1])
    began = time.perf_counter() - state.seconds
    good = _snapshot(learner)
    while state.iteration < config.iterations and not (0 < config.max_seconds <= state.seconds):
        iteration = state.iteration + 1
        torch.manual_seed(_mixed(config.seed, iteration, state.rollbacks))
        np.random.seed(_mixed(config.seed, iteration, state.rollbacks) % 2**32)  # noqa: NPY002  (SB3 draws from it)
        try:
            log = learner.round(iteration)
            sound = all(map(math.isfinite, log.values())) and all(
                v.isfinite().all() for v in learner.tensors().values()
            )
        except (ValueError, FloatingPointError, RuntimeError):  # torch and the limiter refuse NaN in their own ways
            sound = False
        if not sound:
            state.rollbacks += 1
            if state.rollbacks > _ROLLBACKS:
                raise KitError(
                    f"training diverged in round {iteration}, after {_ROLLBACKS} returns to the last good state. "
                    f"Try a smaller rate, such as --set lr={config.lr / 4:g}; {folder / BEST} holds the best so far"
                )
            learner.restore(*good)
            for _ in range(state.rollbacks):
                learner.halve_learning_rates()
            continue
        state.iteration, state.log = iteration, log
        state.seconds = time.perf_counter() - began
        looked = iteration % config.eval_every == 0 or iteration == config.iterations
        if looked:
            state.look(learner, eval_envs, config, on_look)
            state.seconds = time.perf_counter() - began
        good = _snapshot(learner)
        state.save(folder, learner, identity)
        on_round(iteration, state.history[-1] if looked else None)
    if state.history[-1].iteration != state.iteration:
        state.look(learner, eval_envs, config, on_look)
        state.save(folder, learner, identity)
    best = read_checkpoint(folder / BEST)
    learner.restore(best.tensors, best.numbers["learner"])
    return Reinforced(learner.policy(), state.history, state.best, state.seconds, state.rollbacks)


@dataclass
class _State:
    """What the loop remembers besides the learner."""

    folder: Path
    identity: Mapping[str, Any]
    history: list[EvalPoint]
    iteration: int = 0
    seconds: float = 0.0
    rollbacks: int = 0

    def __post_init__(self) -> None:
        self.log: dict[str, float] = {}

    @classmethod
    def open(cls, folder: Path, learner: Learner, identity: Mapping[str, Any]) -> "_State":
        """Fresh, or from the last checkpoint."""
        if not (folder / LAST).is_file():
            return cls(folder, identity, [])
        stored = read_checkpoint(folder / LAST)
        numbers = stored.numbers
        changed = sorted(
            name for name in identity | numbers["identity"] if identity.get(name) != numbers["identity"].get(name)
        )
        if changed:
            raise RefusedError(
                f"{folder.parent} holds an unfinished training with another {', '.join(changed)}. Give the same "
                "command again to finish it, choose another --out, or --fresh"
            )
        learner.restore(stored.tensors, numbers["learner"])
        history = [EvalPoint(**one) for one in numbers["history"]]
        return cls(folder, identity, history, numbers["iteration"], numbers["seconds"], numbers["rollbacks"])

    @property
    def best(self) -> EvalPoint:
        """By success, then by error."""
        return max(self.history, key=_merit)

    def look(
        self,
        learner: Learner,
        eval_envs: VectorEnv[Any, Any, Any],
        config: ReinforceConfig,
        on_look: Callable[[EvalPoint], None],
    ) -> None:
        """Evaluate, and keep the weights if they are the best so far."""
        played = play(eval_envs, learner.acting(), VALIDATION_SEEDS.start)
        self.history.append(
            EvalPoint(
                self.iteration,
                self.seconds,
                learner.env_steps,
                float(played.success.mean()),
                float(played.mean_error.mean()),
                float(played.reward.mean()),
                float(played.jerk.mean()),
                self.log,
            )
        )
        on_look(self.history[-1])
        if self.best is self.history[-1]:
            self._write(self.folder / BEST, learner)
        self.save(self.folder, learner, self.identity)

    def save(self, folder: Path, learner: Learner, identity: Mapping[str, Any]) -> None:
        """The checkpoint from which the same command goes on."""
        self._write(folder / LAST, learner)

    def _write(self, path: Path, learner: Learner) -> None:
        numbers = {
            "identity": dict(self.identity),
            "iteration": self.iteration,
            "seconds": self.seconds,
            "rollbacks": self.rollbacks,
            "history": [asdict(one) for one in self.history],
            "learner": learner.numbers(),
        }
        write_checkpoint(path, Checkpoint(learner.tensors(), numbers))


def _merit(one: EvalPoint) -> tuple[float, float]:
    """Success counts in whole percents; among equals the smaller error."""
    return round(one.success, 2), -one.error


def _snapshot(learner: Learner) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return {name: value.detach().clone() for name, value in learner.tensors().items()}, learner.numbers()


def _mixed(seed: int, iteration: int, rollbacks: int) -> int:
    """A generator's seed for each round; another one after a return, or the same would happen again."""
    return int(np.random.SeedSequence([seed, iteration, rollbacks]).generate_state(1, np.uint64)[0] >> np.uint64(1))
