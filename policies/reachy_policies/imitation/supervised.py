"""Descent on demonstrations: looks at held-out episodes, an early stop, and checkpoints from which it goes on exactly.

The same loop fits our chunk policy and LeRobot's policies; they differ in their batches and in how they are looked at.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.random_utils import deserialize_rng_state, serialize_rng_state
from torch import Tensor

from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_policies.runs.checkpoint import (
    Checkpoint,
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)

LAST = Path("training/last.safetensors")
"""In a run's folder while it is unfinished: everything from which the same command goes on."""
type Batch = dict[str, Any]


@dataclass(frozen=True)
class FittingConfig:
    """How long a policy is fitted, and on what."""

    seed: int = 0
    batch_size: int = 256
    max_steps: int = 4_000
    eval_every: int = 100
    """Steps between looks at the held-out episodes."""
    patience: int = 8
    """Looks without improvement after which training stops."""
    checkpoint_every: int = 100
    """Steps between checkpoints; there is one after each look too."""
    trim_idle: float = 0.01
    """rad or m; frames before the demonstrator first commands a change larger than this are not learned from. Reaction
    time is no part of the skill: learned, it makes a policy that stands still a few degrees off its target."""
    held_out: float = 0.15
    """Share of episodes kept aside, at least one."""
    threads: int = 1
    """Of torch. With another job on the machine two were 14–32 times slower (measured)."""

    def __post_init__(self) -> None:
        counts = ("batch_size", "max_steps", "eval_every", "patience", "checkpoint_every", "threads")
        small = [name for name in counts if getattr(self, name) < 1]
        if small:
            raise ValueError(f"{', '.join(small)} must be at least 1")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must lie between 0 and 1, got {self.held_out}")


@dataclass(frozen=True)
class Progress:
    """One look at the held-out episodes."""

    step: int
    train_loss: float
    """The policy's own loss, mean since the look before; of the chunk policy the negative log-likelihood per number."""
    held_out_loss: float
    held_out_error: float
    """Mean absolute error of the planned actions, m and rad mixed; NaN for a policy that cannot plan from a batch."""
    seconds: float
    """Wall time of training so far, without pauses."""


type OnProgress = Callable[[Progress], None]


@dataclass
class TrainState:
    """A policy and what changes with it."""

    policy: PreTrainedPolicy
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler | None
    clip: float
    """Norm of the gradient above which it is scaled down."""
    batches: Callable[[int], Iterator[Batch]]
    """Endless, the same every time, from the given number of batches on."""
    look: Callable[[], tuple[float, float]]
    """Held-out loss and error, the policy in evaluation mode."""


@dataclass
class _State:
    """Where the descent is."""

    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    """Since the last look."""
    history: list[Progress] = field(default_factory=list)
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def best(self) -> Progress:
        return min(self.history, key=lambda seen: seen.held_out_loss if math.isfinite(seen.held_out_loss) else math.inf)


def descend(
    trainee: TrainState,
    config: FittingConfig,
    on_progress: OnProgress = lambda progress: None,
    out: Path | None = None,
    identity: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[list[Progress], Progress]:
    """Train until held-out episodes no longer improve; the policy keeps the weights that did best on them.

    Args:
        trainee: fresh; torch's random numbers must be seeded.
        config: how long.
        on_progress: told of each look, also of those before a pause.
        out: folder of the run, for checkpoints; None for none. One that is there is gone on from.
        identity: what this training is of, as JSON; a checkpoint of another one is refused.

    Raises:
        KitError: the loss is no longer a number, or a checkpoint cannot be written.
        RefusedError: the folder holds another training, or a damaged checkpoint.
    """
    path = None if out is None else out / LAST
    state = _State(best_weights=copy.deepcopy(trainee.policy.state_dict()))
    trainee.policy.train()
    if path is not None and path.is_file():
        _restore(path, identity, trainee, state)
        for progress in state.history:
            on_progress(progress)
    began = time.perf_counter() - state.seconds
    batches = trainee.batches(state.step)
    while not _finished(state, config):
        state.losses.append(_step(trainee, next(batches), state.step + 1))
        state.step += 1
        looks = state.step % config.eval_every == 0 or state.step == config.max_steps
        if looks:
            trainee.policy.eval()
            loss, error = trainee.look()
            trainee.policy.train()
            train_loss = sum(state.losses) / len(state.losses)
            state.losses.clear()
            state.history.append(Progress(state.step, train_loss, loss, error, time.perf_counter() - began))
            if state.best is state.history[-1]:
                state.best_weights = copy.deepcopy(trainee.policy.state_dict())
        state.seconds = time.perf_counter() - began
        if path is not None and (looks or state.step % config.checkpoint_every == 0):
            _save(path, identity, trainee, state)
        if looks:
            on_progress(state.history[-1])
    trainee.policy.load_state_dict(state.best_weights)
    trainee.policy.eval()
    return state.history, state.best


def _step(trainee: TrainState, batch: Batch, number: int) -> float:
    loss, _ = trainee.policy.forward(batch)
    if not torch.isfinite(loss):
        raise KitError(
            f"training diverged at step {number}: the loss is {loss.item()}. Look for outliers in the dataset, or "
            "lower the learning rate"
        )
    trainee.optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trainee.policy.parameters(), trainee.clip)
    trainee.optimizer.step()
    if trainee.scheduler is not None:
        trainee.scheduler.step()
    if hasattr(trainee.policy, "update"):  # LeRobot's policies with a slow copy of themselves
        trainee.policy.update()
    return float(loss.item())


def _finished(state: _State, config: FittingConfig) -> bool:
    if state.step >= config.max_steps:
        return True
    return bool(state.history) and (state.step - state.best.step) // config.eval_every >= config.patience


def _save(path: Path, identity: Mapping[str, Any], trainee: TrainState, state: _State) -> None:
    tensors = {f"weights/{name}": value for name, value in trainee.policy.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in state.best_weights.items()}
    tensors |= {f"random/{name}": value for name, value in serialize_rng_state().items()}
    tensors |= optimizer_tensors(trainee.optimizer)
    numbers = {
        "identity": dict(identity),
        "step": state.step,
        "seconds": state.seconds,
        "losses": state.losses,
        "history": [asdict(progress) for progress in state.history],
        "rates": [group["lr"] for group in trainee.optimizer.param_groups],
        "scheduler": None if trainee.scheduler is None else trainee.scheduler.state_dict(),
    }
    write_checkpoint(path, Checkpoint(tensors, numbers))


def _restore(path: Path, identity: Mapping[str, Any], trainee: TrainState, state: _State) -> None:
    stored = read_checkpoint(path)
    numbers, was = stored.numbers, stored.numbers.get("identity", {})
    changed = sorted(name for name in identity | was if _plain(identity.get(name)) != _plain(was.get(name)))
    if changed:
        raise RefusedError(
            f"{path.parent.parent} holds an unfinished training with another {', '.join(changed)}. Give the same "
            "command again to finish it, choose another --out, or --fresh"
        )
    try:
        trainee.policy.load_state_dict(_part(stored.tensors, "weights/"))
        restore_optimizer(trainee.optimizer, stored.tensors)
        for group, rate in zip(trainee.optimizer.param_groups, numbers["rates"], strict=True):
            group["lr"] = rate
        if trainee.scheduler is not None:
            trainee.scheduler.load_state_dict(numbers["scheduler"])
        deserialize_rng_state(_part(stored.tensors, "random/"))
        state.best_weights = _part(stored.tensors, "best/")
        state.history = [Progress(**progress) for progress in numbers["history"]]
        state.step, state.seconds, state.losses = numbers["step"], numbers["seconds"], numbers["losses"]
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise RefusedError(
            f"{path} is of another version ({error}). Choose another --out, or --fresh to train anew"
        ) from error


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
