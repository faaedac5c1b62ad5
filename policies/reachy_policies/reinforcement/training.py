"""The training loop around every method in the simulator: iterations, evaluations, checkpoints, rollbacks.

Seeds of an iteration follow from the run's seed and the iteration's number, so that a checkpoint between two iterations
is complete. An iteration that yields NaN is rolled back, with smaller learning rates.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.policies.pretrained import PreTrainedPolicy

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.seeds import VALIDATION_SEEDS
from reachy_policies.reinforcement.eval_point import EvalPoint
from reachy_policies.reinforcement.learner import Learner
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
from reachy_policies.rollouts.episode_batch import Envs, run_episodes
from reachy_policies.runs.checkpoint import State, copy_state, tensors_of
from reachy_policies.runs.resumable import TrainingRecord, all_finite

type OnIteration = Callable[[int, EvalPoint | None], None]
type OnEvaluation = Callable[[EvalPoint], None]
_MAX_ROLLBACKS = 3


@dataclass(frozen=True)
class ReinforceResult:
    """A finished training."""

    policy: PreTrainedPolicy
    """Policy with the weights that did best on the held-out episodes."""
    history: list[EvalPoint]
    best: EvalPoint
    seconds: float
    rollbacks: int


def train(
    learner: Learner,
    eval_envs: Envs,
    config: ReinforceConfig,
    out: Path,
    identity: Mapping[str, Any],
    on_iteration: OnIteration = lambda iteration, point: None,
    on_evaluation: OnEvaluation = lambda point: None,
) -> ReinforceResult:
    """Run all iterations, from the last checkpoint if there is one.

    Args:
        learner: a new learner.
        eval_envs: environments of the held-out episodes.
        config: numbers of iterations and evaluations.
        out: folder of the run.
        identity: identity of this training; a checkpoint of another one is refused.
        on_iteration: called after every iteration, with its evaluation where there was one.
        on_evaluation: called with every evaluation before it is stored; after a crash it may be called again.

    Raises:
        RefusedError: the folder holds another training.
        KitError: training diverges, or a checkpoint cannot be written.
    """
    torch.set_num_threads(config.threads)
    record = TrainingRecord(out, identity, EvalPoint, _merit)
    loop = _Loop(learner, config)

    def evaluate() -> EvalPoint:
        point = loop.evaluate(eval_envs)
        on_evaluation(point)
        record.add(point, lambda: learner.policy().state_dict())
        return point

    if not record.resume(loop.load_state_dict):
        point = evaluate()
        record.save(loop.state_dict())
        on_iteration(0, point)
    began = time.perf_counter() - loop.seconds
    good = copy_state(learner.state_dict())
    while loop.iteration < config.iterations and not 0 < config.max_seconds <= loop.seconds:
        if not loop.try_iteration():
            loop.roll_back(good, f"{record.best_path} holds the best so far")
            continue
        loop.seconds = time.perf_counter() - began
        evaluated = loop.iteration % config.eval_every == 0 or loop.iteration == config.iterations
        if evaluated:
            evaluate()
            loop.seconds = time.perf_counter() - began
        good = copy_state(learner.state_dict())
        record.save(loop.state_dict())
        on_iteration(loop.iteration, record.history[-1] if evaluated else None)
    if record.history[-1].iteration != loop.iteration:
        evaluate()
        record.save(loop.state_dict())
    policy = learner.policy()
    policy.load_state_dict(record.best_weights)
    return ReinforceResult(policy, record.history, record.best, loop.seconds, loop.rollbacks)


@dataclass
class _Loop:
    """State of the loop."""

    learner: Learner
    config: ReinforceConfig
    iteration: int = 0
    seconds: float = 0.0
    rollbacks: int = 0
    log: dict[str, float] = field(default_factory=dict)
    """Log of the last iteration."""
    failure: Exception | None = None
    """Error that ended the last iteration, if one did."""

    def try_iteration(self) -> bool:
        """Run the next iteration; False if it yields NaN and must be rolled back."""
        iteration, config = self.iteration + 1, self.config
        torch.manual_seed(_random_seed(config.seed, iteration, self.rollbacks))
        np.random.seed(_random_seed(config.seed, iteration, self.rollbacks) % 2**32)  # noqa: NPY002  (SB3 draws from it)
        try:
            log = self.learner.train_iteration(iteration)
            sound = all(map(math.isfinite, log.values())) and all_finite(
                tensor for _, tensor in tensors_of(self.learner.state_dict())
            )
        except (ValueError, FloatingPointError, RuntimeError) as error:  # torch and the limiter refuse NaN differently
            self.failure, sound = error, False
        else:
            self.failure = None
        if sound:
            self.iteration, self.log = iteration, log
        return sound

    def roll_back(self, good: State, where: str) -> None:
        """Return to the last good state, with smaller learning rates.

        Raises:
            KitError: that has happened too often; its cause is the last iteration's error, if there was one.
        """
        self.rollbacks += 1
        if self.rollbacks > _MAX_ROLLBACKS:
            raise KitError(
                f"training diverged in iteration {self.iteration + 1}, after {_MAX_ROLLBACKS} returns to the last good "
                f"state. Try a smaller rate, such as --set lr={self.config.lr / 4:g}; {where}"
            ) from self.failure
        self.learner.load_state_dict(good)
        for _ in range(self.rollbacks):
            self.learner.halve_learning_rates()

    def evaluate(self, envs: Envs) -> EvalPoint:
        """Run the held-out episodes."""
        batch = run_episodes(envs, self.learner.eval_policy(), VALIDATION_SEEDS.start)
        return EvalPoint(
            self.iteration,
            self.seconds,
            self.learner.env_steps,
            float(batch.success.mean()),
            float(batch.mean_error.mean()),
            float(batch.reward.mean()),
            float(batch.jerk.mean()),
            self.log,
        )

    def state_dict(self) -> dict[str, Any]:
        """State from which training resumes exactly."""
        own = {name: getattr(self, name) for name in ("iteration", "seconds", "rollbacks", "log")}
        return {**own, "learner": self.learner.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore a ``state_dict``."""
        self.iteration, self.seconds = state["iteration"], state["seconds"]
        self.rollbacks, self.log = state["rollbacks"], state["log"]
        self.learner.load_state_dict(state["learner"])


def _merit(point: EvalPoint) -> tuple[float, float]:
    """Merit of an evaluation: success in whole percents, then the smaller error."""
    return round(point.success, 2), -point.error


def _random_seed(seed: int, iteration: int, rollbacks: int) -> int:
    """Seed of an iteration's random numbers; it changes after a rollback, or the same would happen again."""
    return int(np.random.SeedSequence([seed, iteration, rollbacks]).generate_state(1, np.uint64)[0] >> np.uint64(1))
