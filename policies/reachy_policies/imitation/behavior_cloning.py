"""Imitation: fit the chunk policy to demonstrations, and stop when held-out episodes no longer improve.

Try it: reachy-kit train imitation --dataset data/look_at --out runs/look_at
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from reachy_kit.runtime.recording.schema import IMAGE
from reachy_policies.data.demonstrations import Demonstrations
from reachy_policies.data.image_tensors import make_augmentation
from reachy_policies.data.windows import Windows, cut_windows
from reachy_policies.imitation.supervised import (
    Batch,
    HeldOutScore,
    OnProgress,
    SupervisedConfig,
    TrainResult,
    TrainState,
    draw_rows,
    identity_of,
    split_episodes,
    train,
)
from reachy_policies.models.chunk import ReachyChunkConfig, ReachyChunkPolicy
from reachy_policies.models.chunk.vision_network import VisionChunkNetwork

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
            loss, metrics = policy.forward(test.batch())
        return HeldOutScore(loss.item(), **metrics)

    state = TrainState(policy, optimizer, scheduler, 1.0, lambda done: _batches(training, config, done), evaluate)
    history, best = train(state, config, on_progress, out, identity_of(demonstrations, policy.config, config))
    return TrainResult(policy, history, best, held_out, len(demonstrations.episodes))


def _batches(training: Windows, config: ImitationConfig, done: int) -> Iterator[Batch]:
    augment = make_augmentation() if training.images is not None and config.augment else None
    for rows in draw_rows(len(training.state), config, done):
        batch = training.batch(rows)
        if augment is not None:
            batch[IMAGE] = augment(batch[IMAGE])
        yield batch
