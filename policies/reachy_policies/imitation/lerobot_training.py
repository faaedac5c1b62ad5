"""Training of one of LeRobot's policies: its features, normalisation and optimizer, our evaluations and checkpoints."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
from lerobot.policies.factory import make_policy, make_pre_post_processors
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_PREFIX
from lerobot.utils.random_utils import set_seed
from torch import Tensor
from torch.utils.data import DataLoader

from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.interface import ANGLE_AXES, POSITION_AXES
from reachy_kit.runtime.recording.schema import IMAGE
from reachy_policies.data.demonstrations import Demonstrations
from reachy_policies.data.frames import Frames
from reachy_policies.data.lerobot_metadata import describe_to_lerobot
from reachy_policies.data.windows import episode_edges, select_frames
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
from reachy_policies.models.lerobot.lerobot_config import OBS_TYPES, check_obs_type, set_features
from reachy_policies.models.pretrained import Processors

_TINY = 5e-3
"""Floor of a deviation or of half a range, m, rad or s, as in the chunk policy: inputs that hardly vary in the
demonstrations would otherwise be amplified."""


@dataclass(frozen=True)
class LeRobotTrainConfig(SupervisedConfig):
    """Settings of the training of one of LeRobot's policies."""

    batch_size: int = 32
    max_steps: int = 20_000
    eval_every: int = 500
    obs_type: str = "state"
    """``state`` for perception's features, ``pixels`` for the camera's images alone, ``pixels_state`` for both; the
    measured pose is always an input. The default is that of the chunk policy, also for a dataset with a camera."""
    image_height: int = 96
    """Height to which images are resized, px, with their aspect ratio kept; 0 keeps them as recorded."""
    augment: bool = True
    """Change brightness, contrast, colour and sharpness of training images at random, with LeRobot's transforms."""
    held_out_frames: int = 512
    """Largest number of held-out frames per evaluation, evenly over the episodes."""
    workers: int = 0
    """Processes that read images. With one or more, a resumed training is not bit-identical."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.obs_type not in OBS_TYPES:
            raise ValueError(f"obs_type must be one of {', '.join(OBS_TYPES)}, got {self.obs_type}")
        if self.held_out_frames < 1 or self.workers < 0 or self.image_height < 0:
            raise ValueError("held_out_frames must be at least 1, workers and image_height at least 0")


def fit_lerobot(
    demonstrations: Demonstrations,
    policy_config: PreTrainedConfig,
    config: LeRobotTrainConfig,
    on_progress: OnProgress = lambda progress: None,
    out: Path | None = None,
    on_note: Callable[[str], None] = lambda line: None,
) -> TrainResult:
    """Train a policy of LeRobot's as its own ``lerobot-train`` would; the weights best on held-out episodes are kept.

    Args:
        demonstrations: the datasets' numbers.
        policy_config: of ``read_policy_config``.
        config: of the training.
        on_progress: called after each evaluation.
        out: folder of the run, for checkpoints; an unfinished training there is resumed.
        on_note: called with lines for people about the policy's inputs.

    Raises:
        WrongUseError: the policy does not fit the dataset, or lacks a package.
        KitError: the loss is infinite or NaN, a checkpoint cannot be written, or the policy fails in training.
        RefusedError: ``out`` holds another unfinished training.
    """
    torch.set_num_threads(config.threads)
    set_seed(config.seed)
    layout = demonstrations.layout
    check_obs_type(config.obs_type, layout)
    set_features(policy_config, config.obs_type, layout, config.image_height)
    identity = identity_of(demonstrations, policy_config, config)
    policy, processors, metadata = _make(policy_config, demonstrations)
    on_note(f"{policy_config.type} takes {', '.join(policy_config.input_features)}; observation.last_action is unused")
    if IMAGE in policy_config.input_features:
        on_note("its image network starts untrained: pretrained weights are not fetched")
    kept, held_out = split_episodes(demonstrations.episodes, config)
    state = _train_state(policy, processors, config, _Split(demonstrations, kept, held_out))
    with contextlib.suppress(AttributeError):
        del policy_config._runtime_dataset_meta  # internal to LeRobot
    try:
        history, best = train(state, config, on_progress, out, identity)
    except KitError:
        raise
    except Exception as error:  # inside a policy of LeRobot's or of a plugin
        raise KitError(
            f"--policy {policy_config.type} cannot be trained on {_names(demonstrations)}: {_one_line(error)}"
        ) from error
    del metadata
    return TrainResult(policy, history, best, held_out, len(demonstrations.episodes), processors)


@dataclass(frozen=True)
class _Split:
    """A dataset, split into training and held-out episodes."""

    demonstrations: Demonstrations
    kept: list[int]
    held_out: list[int]


def _train_state(
    policy: PreTrainedPolicy, processors: Processors, config: LeRobotTrainConfig, split: _Split
) -> TrainState:
    demonstrations, policy_config = split.demonstrations, policy.config
    train_rows = select_frames(demonstrations, split.kept, config.trim_idle)
    train_rows = _not_last(train_rows, demonstrations, getattr(policy_config, "drop_n_last_frames", 0))
    test_rows = _spread(select_frames(demonstrations, split.held_out, config.trim_idle), config.held_out_frames)
    training = Frames(demonstrations, policy_config, augment=config.augment)
    test = Frames(demonstrations, policy_config, augment=False)
    preset = policy_config.get_optimizer_preset()
    optimizer = preset.build(policy.get_optim_params())
    schedule = policy_config.get_scheduler_preset()
    scheduler = None if schedule is None else schedule.build(optimizer, config.max_steps)

    def batches(done: int) -> Iterator[Batch]:
        rows = (train_rows[drawn].tolist() for drawn in draw_rows(len(train_rows), config, done))
        for batch in _loader(training, rows, config.workers):
            yield processors[0](_float_images(batch))

    def evaluate() -> HeldOutScore:
        rows = (part.tolist() for part in test_rows.split(config.batch_size))
        with torch.no_grad(), _own_random_numbers(config.seed):
            return _evaluate(policy, processors, _loader(test, rows, 0))

    return TrainState(policy, optimizer, scheduler, preset.grad_clip_norm or math.inf, batches, evaluate)


def _make(
    config: PreTrainedConfig, demonstrations: Demonstrations
) -> tuple[PreTrainedPolicy, Processors, LeRobotDatasetMetadata]:
    metadata = describe_to_lerobot(demonstrations)
    metadata.stats = _steady(metadata.stats)
    try:
        config.validate_features()
        policy = make_policy(config, ds_meta=metadata)
        processors = make_pre_post_processors(config, dataset_stats=metadata.stats, dataset_meta=metadata)
    except ImportError as error:
        raise WrongUseError(f"--policy {config.type} needs a package that is not installed: {error}") from error
    except Exception as error:  # the constructor of a policy of LeRobot's or of a plugin raises whatever it likes
        raise WrongUseError(
            f"--policy {config.type} does not fit {_names(demonstrations)}: {_one_line(error)}"
        ) from error
    return policy, processors, metadata


def _names(demonstrations: Demonstrations) -> str:
    return ", ".join(map(str, demonstrations.roots))


def _one_line(error: Exception) -> str:
    """First line of an error's message, with its kind where the message says little."""
    first = str(error).strip().partition("\n")[0]
    return first if " " in first else f"{type(error).__name__} {first}".strip()


def _steady(stats: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Tensor]]:
    """A dataset's statistics with deviations and ranges of at least ``_TINY``; those of images stay as they are."""
    table = {}
    for key, given in stats.items():
        numbers = {name: torch.as_tensor(np.asarray(value)) for name, value in given.items()}
        if key == ACTION or (key.startswith(OBS_PREFIX) and key != IMAGE):
            numbers["std"] = numbers["std"].clamp_min(_TINY)
            middle = (numbers["max"] + numbers["min"]) / 2
            numbers["min"] = torch.minimum(numbers["min"], middle - _TINY)
            numbers["max"] = torch.maximum(numbers["max"], middle + _TINY)
        table[key] = numbers
    return table


def _evaluate(policy: PreTrainedPolicy, processors: Processors, batches: DataLoader[Any]) -> HeldOutScore:
    before, after = processors
    sums, examples = np.zeros(3), 0
    for raw in batches:
        batch = before(_float_images(raw))
        count = len(batch[ACTION])
        loss = policy.forward(batch)[0].item()
        sums += count * np.array([loss, *_plan_errors(policy, batch, raw, after)])
        examples += count
    return HeldOutScore(*(sums / examples).tolist())


def _plan_errors(policy: PreTrainedPolicy, batch: Batch, raw: Batch, after: Any) -> tuple[float, float]:
    """Mean absolute errors of plans, m and rad; NaN where a policy plans only step by step."""
    policy.reset()
    inputs = {key: value for key, value in batch.items() if key != ACTION and not key.endswith("_is_pad")}
    try:
        plan = after(policy.predict_action_chunk(inputs)).cpu()
    except (NotImplementedError, KeyError, AssertionError, RuntimeError, ValueError):
        return math.nan, math.nan
    finally:
        policy.reset()
    now = policy.config.action_delta_indices.index(0)
    wanted, past_end = (raw[key][:, now : now + plan.shape[1]] for key in (ACTION, f"{ACTION}_is_pad"))
    error = (plan[:, : wanted.shape[1]] - wanted).abs()[~past_end]
    return float(error[:, POSITION_AXES].mean()), float(error[:, ANGLE_AXES].mean())


def _loader(frames: Frames, rows: Iterator[list[int]], workers: int) -> DataLoader[Any]:
    # A generator of its own: DataLoader would otherwise draw from the random numbers that training must repeat.
    return DataLoader(
        frames,
        batch_sampler=_BatchList(rows),
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        generator=torch.Generator().manual_seed(0),
    )


class _BatchList:
    """Batches of rows as DataLoader takes them."""

    def __init__(self, rows: Iterator[list[int]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[list[int]]:
        return self._rows


def _float_images(batch: Batch) -> Batch:
    """A batch with its images in [0, 1], as LeRobot's training makes them."""
    return {
        key: value.float() / 255 if isinstance(value, Tensor) and value.dtype == torch.uint8 else value
        for key, value in batch.items()
    }


@contextlib.contextmanager
def _own_random_numbers(seed: int) -> Iterator[None]:
    """Use the same random numbers at every evaluation, for a policy that samples; training keeps its own."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def _spread(rows: Tensor, most: int) -> Tensor:
    return rows[torch.linspace(0, len(rows) - 1, min(most, len(rows))).round().long()]


def _not_last(rows: Tensor, demonstrations: Demonstrations, count: int) -> Tensor:
    """Rows without the last frames of each episode, for a policy that requires it; all rows if none would be left."""
    _, last = episode_edges(demonstrations.episode, rows)
    inner = rows[rows <= last - count]
    return inner if len(inner) else rows
