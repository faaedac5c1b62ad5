"""Imitation: fit the chunk policy to demonstrations, and stop when held-out episodes no longer improve.

Try it: reachy-kit train imitation --dataset data/look_at --out runs/look_at
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import draccus
import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE

from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.schema import IMAGE, OBS_LAST_ACTION
from reachy_policies.data.demonstrations import Demonstrations
from reachy_policies.data.image_tensors import make_augmentation
from reachy_policies.data.windows import Windows, cut_windows
from reachy_policies.imitation.learning_curve import plot_learning_curve, points_csv
from reachy_policies.imitation.supervised import (
    Batch,
    HeldOutScore,
    OnProgress,
    Progress,
    SupervisedConfig,
    TrainState,
    train,
)
from reachy_policies.models.chunk import ReachyChunkConfig, ReachyChunkPolicy
from reachy_policies.models.chunk.vision_network import VisionChunkNetwork
from reachy_policies.models.pretrained import Processors
from reachy_policies.runs.run_card import RunCard
from reachy_policies.runs.run_files import CURVE_CSV, CURVE_PNG
from reachy_policies.runs.saved_run import Run, dataset_digest, save_run, versions

OBS_TYPES = ("state", "pixels")


@dataclass(frozen=True)
class ImitationConfig(SupervisedConfig):
    """Settings of the chunk policy's training."""

    obs_type: str = "state"
    """``state`` for perception's features, ``pixels`` for the camera's images."""
    augment: bool = True
    """Change brightness, contrast, colour and sharpness of training images at random, with LeRobot's transforms."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.obs_type not in OBS_TYPES:
            raise ValueError(f"obs_type must be one of {', '.join(OBS_TYPES)}, got {self.obs_type}")


PIXEL_DEFAULTS: Mapping[str, Any] = MappingProxyType({"batch_size": 64})
"""Defaults with ``obs_type`` pixels where they differ: an image takes a third of a millisecond of one core."""


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


def fit(
    demonstrations: Demonstrations,
    policy_config: ReachyChunkConfig | None = None,
    config: ImitationConfig | None = None,
    on_progress: OnProgress = lambda progress: None,
    out: Path | None = None,
) -> TrainResult:
    """Fit by maximum likelihood on the demonstrations, and keep the weights that did best on the held-out episodes.

    Args:
        demonstrations: the dataset to imitate.
        policy_config: of the chunk policy.
        config: of the fit.
        on_progress: called after each evaluation.
        out: folder of the run, for checkpoints; an unfinished training there is resumed.

    Raises:
        KitError: the loss is infinite or NaN, or a checkpoint cannot be written.
        RefusedError: ``out`` holds another unfinished training.
    """
    config = config or ImitationConfig()
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    policy_config = policy_config or ReachyChunkConfig()
    nine, features = demonstrations.action.shape[-1], demonstrations.environment_state.shape[-1]
    images = demonstrations.images
    policy_config.declare_features(nine, features, None if images is None else tuple(images.shape[1:]))
    policy = ReachyChunkPolicy(policy_config)
    kept, held_out = split_episodes(demonstrations.episodes, config)
    sizes = policy.config.n_obs_steps, policy.config.chunk_size, config.trim_idle
    training, test = cut_windows(demonstrations, kept, *sizes), cut_windows(demonstrations, held_out, *sizes)
    policy.network.fit_normalisation(training.state, training.environment_state, training.last_action, training.action)
    if isinstance(policy.network, VisionChunkNetwork):
        policy.network.fit_auxiliary_features(demonstrations.environment_state)
    preset = policy.config.get_optimizer_preset()
    optimizer = torch.optim.AdamW(policy.get_optim_params(), lr=preset.lr, weight_decay=preset.weight_decay, fused=True)
    scheduler = policy.config.get_scheduler_preset().build(optimizer, config.max_steps)

    def evaluate() -> HeldOutScore:
        with torch.no_grad():
            loss, metrics = policy.forward(_as_batch(test))
        return HeldOutScore(loss.item(), **metrics)

    state = TrainState(policy, optimizer, scheduler, 1.0, lambda done: _batches(training, config, done), evaluate)
    history, best = train(state, config, on_progress, out, identity_of(demonstrations, policy.config, config))
    return TrainResult(policy, history, best, held_out, len(demonstrations.episodes))


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


def save_imitation(
    path: Path, trained: TrainResult, layout: DatasetLayout, dataset: Path, examples: Windows, config: SupervisedConfig
) -> Run:
    """Write a run that was trained on a dataset.

    Raises:
        KitError: it cannot be written.
    """
    card = RunCard(
        task=layout.task,
        policy=trained.policy.name,
        policy_hz=layout.policy_hz,
        control_hz=layout.control_hz,
        environment_state=layout.environment_state,
        environment_state_units=layout.environment_state_units,
        method="imitation",
        dataset=str(dataset.resolve()),
        dataset_sha256=dataset_digest(dataset),
        episodes=trained.episodes,
        held_out=trained.held_out,
        seed=config.seed,
        steps=trained.best.step,
        held_out_loss=trained.best.held_out_loss,
        held_out_position_error=_number(trained.best.held_out_position_error),
        held_out_angle_error=_number(trained.best.held_out_angle_error),
        seconds=trained.history[-1].seconds,
        versions=versions(),
        settings={**asdict(config), "instruction": layout.instruction},
    )
    curve = {CURVE_CSV: points_csv(trained.history), CURVE_PNG: plot_learning_curve(trained.history)}
    return save_run(path, trained.policy, card, examples, curve, processors=trained.processors)


def draw_rows(examples: int, config: SupervisedConfig, done: int) -> Iterator[torch.Tensor]:
    """Yield batches of rows (B,) without end, drawn with replacement; the first ``done`` batches are left out."""
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(done):
        torch.randint(examples, (config.batch_size,), generator=generator)
    while True:
        yield torch.randint(examples, (config.batch_size,), generator=generator)


def _number(value: float) -> float | None:
    """Value for JSON, where NaN becomes null."""
    return None if math.isnan(value) else value


def _batches(training: Windows, config: ImitationConfig, done: int) -> Iterator[Batch]:
    augment = make_augmentation() if training.images is not None and config.augment else None
    for rows in draw_rows(len(training.state), config, done):
        batch = _as_batch(training, rows)
        if augment is not None:
            batch[IMAGE] = augment(batch[IMAGE])
        yield batch


def _as_batch(examples: Windows, rows: torch.Tensor | slice = slice(None)) -> Batch:
    batch = {
        OBS_STATE: examples.state[rows],
        OBS_ENV_STATE: examples.environment_state[rows],
        OBS_LAST_ACTION: examples.last_action[rows],
        ACTION: examples.action[rows],
        "action_is_pad": examples.is_pad[rows],
    }
    if examples.images is not None:
        batch[IMAGE] = examples.images[rows].float() / 255
    return batch
