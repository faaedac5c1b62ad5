"""Gradient descent on demonstrations: evaluations on held-out episodes, an early stop, and checkpoints.

The same loop trains our chunk policy and LeRobot's policies; they differ in their batches and in their evaluation.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import draccus
import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.random_utils import deserialize_rng_state, serialize_rng_state

from reachy_kit.runtime.errors import KitError
from reachy_policies.data.demonstrations import Demonstrations
from reachy_policies.models.pretrained import Processors
from reachy_policies.runs.checkpoint import State, load_optimizer_state, optimizer_state
from reachy_policies.runs.resumable import TrainingRecord

type Batch = dict[str, Any]


@dataclass(frozen=True)
class SupervisedConfig:
    """Length of a training, and its data."""

    seed: int = 0
    batch_size: int = 256
    max_steps: int = 4_000
    eval_every: int = 100
    """Steps between evaluations on the held-out episodes."""
    patience: int = 8
    """Number of evaluations without improvement after which training stops."""
    checkpoint_every: int = 100
    """Steps between checkpoints; one is written after each evaluation too."""
    trim_idle: float = 0.01
    """rad or m; frames before the demonstrator first commands a change larger than this are not learned from. Reaction
    time is not part of the skill: a policy that learns it stands still a few degrees off its target."""
    held_out: float = 0.15
    """Share of episodes that are held out, at least one episode."""
    threads: int = 1
    """Threads of torch. With another job on the machine two were 14–32 times slower (measured)."""

    def __post_init__(self) -> None:
        counts = ("batch_size", "max_steps", "eval_every", "patience", "checkpoint_every", "threads")
        small = [name for name in counts if getattr(self, name) < 1]
        if small:
            raise ValueError(f"{', '.join(small)} must be at least 1")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must lie between 0 and 1, got {self.held_out}")


@dataclass(frozen=True)
class Progress:
    """One evaluation on the held-out episodes."""

    step: int
    train_loss: float
    """The policy's own loss, mean since the evaluation before; of the chunk policy the negative log-likelihood per
    number."""
    held_out_loss: float
    held_out_position_error: float
    """Mean absolute error of the head's planned position, m; NaN for a policy that cannot plan from a batch."""
    held_out_angle_error: float
    """Mean absolute error of the planned angles, rad; NaN for a policy that cannot plan from a batch."""
    seconds: float
    """Wall time of training so far, s, without interruptions."""


class HeldOutScore(NamedTuple):
    """Score of a policy on the held-out episodes."""

    loss: float
    position_error: float
    """Mean absolute error of the plans, m."""
    angle_error: float
    """Mean absolute error of the plans, rad."""


type OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class TrainResult:
    """A trained policy and its learning curve."""

    policy: PreTrainedPolicy
    history: list[Progress]
    best: Progress
    held_out: list[int]
    """Indices of the held-out episodes."""
    episodes: int
    """Number of the dataset's episodes."""
    processors: Processors | None = None
    """Processors of a policy of LeRobot's, which normalise for it; the chunk policy normalises inside its network."""


@dataclass
class TrainState:
    """A policy in training, with its optimizer, batches and evaluation."""

    policy: PreTrainedPolicy
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler | None
    clip: float
    """Norm of the gradient above which it is scaled down."""
    batches: Callable[[int], Iterator[Batch]]
    """Yields batches without end, always the same ones, from the given number on."""
    evaluate: Callable[[], HeldOutScore]
    """Called with the policy in evaluation mode."""
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    """Training losses since the last evaluation."""

    def train_step(self, batch: Batch) -> None:
        """One update of the policy.

        Raises:
            KitError: the loss is infinite or NaN.
        """
        self.step += 1
        loss, _ = self.policy.forward(batch)
        if not torch.isfinite(loss):
            raise KitError(
                f"training diverged at step {self.step}: the loss is {loss.item()}. Look for outliers in the dataset, "
                "or lower the learning rate"
            )
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.clip)
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        if hasattr(self.policy, "update"):  # LeRobot's policies with an exponential moving average
            self.policy.update()
        self.losses.append(float(loss.item()))

    def state_dict(self) -> dict[str, Any]:
        """State from which training resumes exactly."""
        return {
            "policy": self.policy.state_dict(),
            "optimizer": optimizer_state(self.optimizer),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "random": serialize_rng_state(),
            "step": self.step,
            "seconds": self.seconds,
            "losses": list(self.losses),
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a ``state_dict``."""
        self.policy.load_state_dict(state["policy"])
        load_optimizer_state(self.optimizer, state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        deserialize_rng_state(state["random"])
        self.step, self.seconds, self.losses = state["step"], state["seconds"], list(state["losses"])


def identity_of(demonstrations: Demonstrations, policy: Any, config: SupervisedConfig) -> dict[str, Any]:
    """Identity of a training, by the names of its settings: a digest of the data, and both configurations."""
    digest = hashlib.sha256()
    for part in (demonstrations.state, demonstrations.environment_state, demonstrations.action, demonstrations.episode):
        digest.update(part.numpy().tobytes())
    return {"dataset": digest.hexdigest(), **asdict(config), **json.loads(json.dumps(draccus.encode(policy)))}


def split_episodes(episodes: list[int], config: SupervisedConfig) -> tuple[list[int], list[int]]:
    """Split episodes into those to train on and those to hold out, drawn by the seed."""
    generator = torch.Generator().manual_seed(config.seed)
    order = [episodes[i] for i in torch.randperm(len(episodes), generator=generator).tolist()]
    aside = min(max(1, round(config.held_out * len(episodes))), len(episodes) - 1)
    return sorted(order[aside:]), sorted(order[:aside])


def draw_rows(examples: int, config: SupervisedConfig, done: int) -> Iterator[torch.Tensor]:
    """Yield batches of rows (B,) without end, drawn with replacement; the first ``done`` batches are left out."""
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(done):
        torch.randint(examples, (config.batch_size,), generator=generator)
    while True:
        yield torch.randint(examples, (config.batch_size,), generator=generator)


def train(
    state: TrainState,
    config: SupervisedConfig,
    on_progress: OnProgress = lambda progress: None,
    out: Path | None = None,
    identity: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[list[Progress], Progress]:
    """Train until held-out episodes no longer improve; the policy keeps the weights that did best on them.

    Args:
        state: a new training; torch's random numbers must be seeded.
        config: settings.
        on_progress: called after each evaluation, also with those from before an interruption.
        out: folder of the run, for checkpoints; None for none. An unfinished training there is resumed.
        identity: identity of this training, as JSON; a checkpoint of another one is refused.

    Returns:
        All evaluations, and the best of them.

    Raises:
        KitError: the loss is infinite or NaN, or a checkpoint cannot be written.
        RefusedError: the folder holds another training, or a damaged checkpoint.
    """
    record = TrainingRecord(out, identity, Progress, _merit)
    state.policy.train()
    if record.resume(state.load_state_dict):
        for progress in record.history:
            on_progress(progress)
    began = time.perf_counter() - state.seconds
    batches = state.batches(state.step)
    while not _finished(state.step, record, config):
        state.train_step(next(batches))
        evaluated = state.step % config.eval_every == 0 or state.step == config.max_steps
        if evaluated:
            record.add(_evaluate(state, began), state.policy.state_dict)
        state.seconds = time.perf_counter() - began
        if evaluated or state.step % config.checkpoint_every == 0:
            record.save(state.state_dict())
        if evaluated:
            on_progress(record.history[-1])
    state.policy.load_state_dict(record.best_weights)
    state.policy.eval()
    return record.history, record.best


def _evaluate(state: TrainState, began: float) -> Progress:
    """Evaluate, and reset the losses since the last evaluation."""
    state.policy.eval()
    score = state.evaluate()
    state.policy.train()
    train_loss = sum(state.losses) / len(state.losses)
    state.losses.clear()
    return Progress(state.step, train_loss, *score, time.perf_counter() - began)


def _merit(progress: Progress) -> float:
    return -progress.held_out_loss if math.isfinite(progress.held_out_loss) else -math.inf


def _finished(step: int, record: TrainingRecord[Progress], config: SupervisedConfig) -> bool:
    if step >= config.max_steps:
        return True
    return bool(record.history) and (step - record.best.step) // config.eval_every >= config.patience
