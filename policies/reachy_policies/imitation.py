"""Imitation: fit the chunk policy to demonstrations, watch held-out episodes, stop when they no longer improve.

Try it: reachy-kit train imitation --dataset data/look_at --out runs/look_at
"""

import copy
import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE

from reachy_kit.errors import KitError
from reachy_policies.chunk import ReachyChunkConfig, ReachyChunkPolicy
from reachy_policies.chunk.configuration_chunk import OBS_LAST_ACTION
from reachy_policies.demonstrations import Demonstrations, Windows, windows


@dataclass(frozen=True)
class ImitationConfig:
    """How the chunk policy is fitted."""

    seed: int = 0
    batch_size: int = 256
    max_steps: int = 4_000
    eval_every: int = 100
    """Steps between looks at the held-out episodes."""
    patience: int = 8
    """Looks without improvement after which training stops."""
    trim_idle: float = 0.01
    """rad or m; frames before the demonstrator first commands a change larger than this are not learned from. Reaction
    time is no part of the skill: learned, it makes a policy that stands still a few degrees off its target."""
    held_out: float = 0.15
    """Share of episodes kept aside, at least one."""
    threads: int = 1
    """Of torch. With another job on the machine two were 14–32 times slower (measured)."""

    def __post_init__(self) -> None:
        counts = ("batch_size", "max_steps", "eval_every", "patience", "threads")
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
    """Negative log-likelihood per number, mean since the look before."""
    held_out_loss: float
    held_out_error: float
    """Mean absolute error of the planned actions, m and rad mixed."""
    seconds: float
    """Wall time since training began."""


@dataclass(frozen=True)
class Fitted:
    """A trained policy and how it got there."""

    policy: ReachyChunkPolicy
    history: list[Progress]
    best: Progress
    held_out: list[int]
    """Episodes that were kept aside."""
    episodes: int
    """Of the dataset."""


def fit(
    demonstrations: Demonstrations,
    policy_config: ReachyChunkConfig | None = None,
    config: ImitationConfig | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Fitted:
    """Maximum likelihood on the demonstrations; the weights that did best on the held-out episodes are kept.

    Raises:
        KitError: the loss is no longer a number.
    """
    config = config or ImitationConfig()
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    policy = ReachyChunkPolicy(_with_features(policy_config or ReachyChunkConfig(), demonstrations))
    kept, held_out = split_episodes(demonstrations.episodes, config)
    sizes = policy.config.n_obs_steps, policy.config.chunk_size, config.trim_idle
    train, test = windows(demonstrations, kept, *sizes), windows(demonstrations, held_out, *sizes)
    policy.network.fit_normalisation(train.state, train.environment_state, train.last_action, train.action)

    optimizer = policy.config.get_optimizer_preset().build(policy.get_optim_params())
    scheduler = policy.config.get_scheduler_preset().build(optimizer, config.max_steps)
    history: list[Progress] = []
    best: Progress | None = None
    best_weights = copy.deepcopy(policy.state_dict())
    losses: list[float] = []
    began = time.perf_counter()
    for step, batch in enumerate(_batches(train, config), start=1):
        loss, _ = policy.forward(batch)
        if not torch.isfinite(loss):
            raise KitError(
                f"training diverged at step {step}: the loss is {loss.item()}. Look for outliers in the dataset"
            )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        if step % config.eval_every and step < config.max_steps:
            continue
        policy.eval()
        with torch.no_grad():
            held_out_loss, metrics = policy.forward(_as_batch(test))
        policy.train()
        now = Progress(
            step, sum(losses) / len(losses), held_out_loss.item(), metrics["error"], time.perf_counter() - began
        )
        losses.clear()
        history.append(now)
        on_progress(now)
        if best is None or now.held_out_loss < best.held_out_loss:
            best, best_weights = now, copy.deepcopy(policy.state_dict())
        elif (now.step - best.step) // config.eval_every >= config.patience:
            break
    assert best is not None, "the last step is always looked at"
    policy.load_state_dict(best_weights)
    policy.eval()
    return Fitted(policy, history, best, held_out, len(demonstrations.episodes))


def split_episodes(episodes: list[int], config: ImitationConfig) -> tuple[list[int], list[int]]:
    """Episodes to train on and to hold out, drawn by the seed."""
    generator = torch.Generator().manual_seed(config.seed)
    order = [episodes[i] for i in torch.randperm(len(episodes), generator=generator).tolist()]
    aside = min(max(1, round(config.held_out * len(episodes))), len(episodes) - 1)
    return sorted(order[aside:]), sorted(order[:aside])


def write_curve(history: Sequence[Any]) -> bytes:
    """A history of dataclasses as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(vars(history[0]))
    writer.writerows(tuple(vars(progress).values()) for progress in history)
    return text.getvalue().encode()


def _with_features(config: ReachyChunkConfig, demonstrations: Demonstrations) -> ReachyChunkConfig:
    nine, features = demonstrations.action.shape[-1], demonstrations.environment_state.shape[-1]
    config.input_features = {
        OBS_STATE: PolicyFeature(FeatureType.STATE, (nine,)),
        OBS_ENV_STATE: PolicyFeature(FeatureType.ENV, (features,)),
        OBS_LAST_ACTION: PolicyFeature(FeatureType.STATE, (nine,)),
    }
    config.output_features = {ACTION: PolicyFeature(FeatureType.ACTION, (nine,))}
    return config


def _batches(train: Windows, config: ImitationConfig) -> Iterator[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(config.max_steps):
        yield _as_batch(train, torch.randint(len(train.state), (config.batch_size,), generator=generator))


def _as_batch(examples: Windows, rows: torch.Tensor | slice = slice(None)) -> dict[str, torch.Tensor]:
    return {
        OBS_STATE: examples.state[rows],
        OBS_ENV_STATE: examples.environment_state[rows],
        OBS_LAST_ACTION: examples.last_action[rows],
        ACTION: examples.action[rows],
        "action_is_pad": examples.is_pad[rows],
    }
