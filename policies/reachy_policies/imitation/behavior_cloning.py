"""Imitation: fit the chunk policy to demonstrations, watch held-out episodes, stop when they no longer improve.

Try it: reachy-kit train imitation --dataset data/look_at --out runs/look_at
"""

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import draccus
import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.processor import PolicyProcessorPipeline
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE

from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.schema import IMAGE, OBS_LAST_ACTION
from reachy_policies.data.demonstrations import Demonstrations, Windows, windows
from reachy_policies.data.image_tensors import augmentation
from reachy_policies.imitation.supervised import Batch, FittingConfig, OnProgress, Progress, TrainState, descend
from reachy_policies.models.chunk import ReachyChunkConfig, ReachyChunkPolicy
from reachy_policies.models.chunk.image_encoder import VisionChunkNetwork
from reachy_policies.plots import learning_curve
from reachy_policies.runs.run import Run, dataset_digest, save_run, versions
from reachy_policies.runs.run_card import RunCard

OBS_TYPES = ("state", "pixels")
type Processors = tuple[PolicyProcessorPipeline[Any, Any], PolicyProcessorPipeline[Any, Any]]


@dataclass(frozen=True)
class ImitationConfig(FittingConfig):
    """How the chunk policy is fitted."""

    obs_type: str = "state"
    """``state`` for perception's features, ``pixels`` for the camera's pictures."""
    augment: bool = True
    """Change brightness, contrast, colour and sharpness of training pictures at random, with LeRobot's transforms."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.obs_type not in OBS_TYPES:
            raise ValueError(f"obs_type must be one of {', '.join(OBS_TYPES)}, got {self.obs_type}")


PIXEL_DEFAULTS: Mapping[str, Any] = MappingProxyType({"batch_size": 64})
"""Where the defaults differ with ``obs_type`` pixels: a picture takes a third of a millisecond of one core."""


@dataclass(frozen=True)
class TrainResult:
    """A trained policy and how it got there."""

    policy: PreTrainedPolicy
    history: list[Progress]
    best: Progress
    held_out: list[int]
    """Episodes that were kept aside."""
    episodes: int
    """Of the dataset."""
    processors: Processors | None = None
    """What a policy of LeRobot's normalises with; the chunk policy does it inside."""


def fit(
    demonstrations: Demonstrations,
    policy_config: ReachyChunkConfig | None = None,
    config: ImitationConfig | None = None,
    on_progress: OnProgress = lambda progress: None,
    out: Path | None = None,
) -> TrainResult:
    """Maximum likelihood on the demonstrations; the weights that did best on the held-out episodes are kept.

    Args:
        demonstrations: what to imitate.
        policy_config: of the chunk policy.
        config: of the fit.
        on_progress: told of each look.
        out: folder of the run, for checkpoints; a training that was cut short goes on from there.

    Raises:
        KitError: the loss is no longer a number, or a checkpoint cannot be written.
        RefusedError: ``out`` holds another unfinished training.
    """
    config = config or ImitationConfig()
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    policy_config = policy_config or ReachyChunkConfig()
    nine, features = demonstrations.action.shape[-1], demonstrations.environment_state.shape[-1]
    pictures = demonstrations.pictures
    policy_config.look_at(nine, features, None if pictures is None else tuple(pictures.shape[1:]))
    policy = ReachyChunkPolicy(policy_config)
    kept, held_out = split_episodes(demonstrations.episodes, config)
    sizes = policy.config.n_obs_steps, policy.config.chunk_size, config.trim_idle
    train, test = windows(demonstrations, kept, *sizes), windows(demonstrations, held_out, *sizes)
    policy.network.fit_normalisation(train.state, train.environment_state, train.last_action, train.action)
    if isinstance(policy.network, VisionChunkNetwork):
        policy.network.fit_auxiliary_features(demonstrations.environment_state)
    preset = policy.config.get_optimizer_preset()
    optimizer = torch.optim.AdamW(policy.get_optim_params(), lr=preset.lr, weight_decay=preset.weight_decay, fused=True)
    scheduler = policy.config.get_scheduler_preset().build(optimizer, config.max_steps)

    def look() -> tuple[float, float]:
        with torch.no_grad():
            loss, metrics = policy.forward(_as_batch(test))
        return loss.item(), metrics["error"]

    trainee = TrainState(policy, optimizer, scheduler, 1.0, lambda done: _batches(train, config, done), look)
    history, best = descend(trainee, config, on_progress, out, identity_of(demonstrations, policy.config, config))
    return TrainResult(policy, history, best, held_out, len(demonstrations.episodes))


def identity_of(demonstrations: Demonstrations, policy: Any, config: FittingConfig) -> dict[str, Any]:
    """What makes a training this one and no other, by the names of its settings."""
    digest = hashlib.sha256()
    for part in (demonstrations.state, demonstrations.environment_state, demonstrations.action, demonstrations.episode):
        digest.update(part.numpy().tobytes())
    return {"dataset": digest.hexdigest(), **asdict(config), **json.loads(json.dumps(draccus.encode(policy)))}


def split_episodes(episodes: list[int], config: FittingConfig) -> tuple[list[int], list[int]]:
    """Episodes to train on and to hold out, drawn by the seed."""
    generator = torch.Generator().manual_seed(config.seed)
    order = [episodes[i] for i in torch.randperm(len(episodes), generator=generator).tolist()]
    aside = min(max(1, round(config.held_out * len(episodes))), len(episodes) - 1)
    return sorted(order[aside:]), sorted(order[:aside])


def save_imitation(
    path: Path, fitted: TrainResult, layout: DatasetLayout, dataset: Path, examples: Windows, config: FittingConfig
) -> Run:
    """Write a run that was fitted to a dataset.

    Raises:
        KitError: it cannot be written.
    """
    card = RunCard(
        task=layout.task,
        policy=fitted.policy.name,
        policy_hz=layout.policy_hz,
        control_hz=layout.control_hz,
        environment_state=layout.environment_state,
        environment_state_units=layout.environment_state_units,
        method="imitation",
        dataset=str(dataset.resolve()),
        dataset_sha256=dataset_digest(dataset),
        episodes=fitted.episodes,
        held_out=fitted.held_out,
        seed=config.seed,
        steps=fitted.best.step,
        held_out_loss=fitted.best.held_out_loss,
        held_out_error=None if math.isnan(fitted.best.held_out_error) else fitted.best.held_out_error,
        seconds=fitted.history[-1].seconds,
        versions=versions(),
        settings={**asdict(config), "instruction": layout.instruction},
    )
    curve = {"curve.csv": write_curve(fitted.history), "curve.png": learning_curve(fitted.history)}
    return save_run(path, fitted.policy, card, examples, curve, processors=fitted.processors)


def write_curve(history: Sequence[Any]) -> bytes:
    """A history of dataclasses as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(vars(history[0]))
    writer.writerows(tuple(vars(progress).values()) for progress in history)
    return text.getvalue().encode()


def _batches(train: Windows, config: ImitationConfig, done: int) -> Iterator[Batch]:
    augment = augmentation() if train.named is not None and config.augment else None
    for rows in drawn(len(train.state), config, done):
        batch = _as_batch(train, rows)
        if augment is not None:
            batch[IMAGE] = augment(batch[IMAGE])
        yield batch


def drawn(examples: int, config: FittingConfig, done: int) -> Iterator[torch.Tensor]:
    """Endless batches of rows (B,), drawn with replacement; the first ``done`` are left out."""
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(done):
        torch.randint(examples, (config.batch_size,), generator=generator)
    while True:
        yield torch.randint(examples, (config.batch_size,), generator=generator)


def _as_batch(examples: Windows, rows: torch.Tensor | slice = slice(None)) -> dict[str, torch.Tensor]:
    sensed = examples.environment_state[rows]
    seen = {OBS_ENV_STATE: sensed}
    if examples.named is not None:
        seen = {IMAGE: sensed.float() / 255, OBS_ENV_STATE: examples.named[rows]}
    return {
        OBS_STATE: examples.state[rows],
        **seen,
        OBS_LAST_ACTION: examples.last_action[rows],
        ACTION: examples.action[rows],
        "action_is_pad": examples.is_pad[rows],
    }
