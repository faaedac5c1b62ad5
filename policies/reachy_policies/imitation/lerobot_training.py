"""A training of one of LeRobot's policies: its features, normalisation and optimizer, our looks and checkpoints."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
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

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.recording.schema import IMAGE
from reachy_policies.data.demonstrations import Demonstrations, learned_frames
from reachy_policies.data.frames import Frames
from reachy_policies.imitation.behavior_cloning import Processors, TrainResult, drawn, identity_of, split_episodes
from reachy_policies.imitation.supervised import Batch, OnProgress, TrainState, descend
from reachy_policies.models.lerobot.lerobot_config import AdapterConfig, observed, set_features

_TINY = 5e-3
"""Floor of a deviation or of half a range, m, rad or s, as in the chunk policy: what hardly varies in the
demonstrations must not blow up later."""


def fit_lerobot(
    demonstrations: Demonstrations,
    root: Path,
    policy_config: PreTrainedConfig,
    config: AdapterConfig,
    on_progress: OnProgress = lambda progress: None,
    out: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> TrainResult:
    """Train a policy of LeRobot's as its own ``lerobot-train`` would; the weights best on held-out episodes are kept.

    Args:
        demonstrations: the dataset's numbers.
        root: its folder, for pictures and LeRobot's metadata.
        policy_config: of ``read_policy_config``.
        config: of the training.
        on_progress: told of each look.
        out: folder of the run, for checkpoints; a training that was cut short goes on from there.
        say: told what goes in.

    Raises:
        WrongUseError: the policy does not fit the dataset, or lacks a package.
        KitError: the loss is no longer a number, or a checkpoint cannot be written.
        RefusedError: ``out`` holds another unfinished training.
    """
    torch.set_num_threads(config.threads)
    set_seed(config.seed)
    set_features(policy_config, observed(config, demonstrations.layout), demonstrations.layout, config.image_height)
    identity = identity_of(demonstrations, policy_config, config)
    policy, processors, metadata = _make(policy_config, root)
    say(f"{policy_config.type} sees {', '.join(policy_config.input_features)}; observation.last_action is not used")
    if IMAGE in policy_config.input_features:
        say("its image network starts untrained: no pretrained weights are fetched")
    kept, held_out = split_episodes(demonstrations.episodes, config)
    train_rows = learned_frames(demonstrations, kept, config.trim_idle)
    train_rows = _not_last(train_rows, demonstrations, getattr(policy_config, "drop_n_last_frames", 0))
    test_rows = _some(learned_frames(demonstrations, held_out, config.trim_idle), config.held_out_frames)
    train = Frames(demonstrations, root, policy_config, augment=config.augment)
    test = Frames(demonstrations, root, policy_config, augment=False)
    before, after = processors
    preset = policy_config.get_optimizer_preset()
    optimizer = preset.build(policy.get_optim_params())
    schedule = policy_config.get_scheduler_preset()
    scheduler = None if schedule is None else schedule.build(optimizer, config.max_steps)

    def batches(done: int) -> Iterator[Batch]:
        rows = (train_rows[drawn_rows].tolist() for drawn_rows in drawn(len(train_rows), config, done))
        for batch in _loader(train, rows, config.workers):
            yield before(_floats(batch))

    def look() -> tuple[float, float]:
        rows = (part.tolist() for part in test_rows.split(config.batch_size))
        with torch.no_grad(), _random_numbers_of_its_own(config.seed):
            return _judge(policy, processors, _loader(test, rows, 0))

    clip = preset.grad_clip_norm or math.inf
    trainee = TrainState(policy, optimizer, scheduler, clip, batches, look)
    with contextlib.suppress(AttributeError):
        del policy_config._runtime_dataset_meta  # LeRobot's note to itself
    history, best = descend(trainee, config, on_progress, out, identity)
    del metadata
    return TrainResult(policy, history, best, held_out, len(demonstrations.episodes), (before, after))


def _make(config: PreTrainedConfig, root: Path) -> tuple[PreTrainedPolicy, Processors, LeRobotDatasetMetadata]:
    metadata = LeRobotDatasetMetadata(f"local/{root.name}", root=root)
    metadata.stats = steady(metadata.stats)
    try:
        config.validate_features()
        policy = make_policy(config, ds_meta=metadata)
        processors = make_pre_post_processors(config, dataset_stats=metadata.stats, dataset_meta=metadata)
    except ImportError as error:
        raise WrongUseError(f"--policy {config.type} needs a package that is not installed: {error}") from error
    except (ValueError, TypeError, KeyError, NotImplementedError, OSError) as error:
        raise WrongUseError(f"--policy {config.type} does not fit {root}: {error}") from error
    return policy, processors, metadata


def steady(stats: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Tensor]]:
    """A dataset's statistics with deviations and ranges of at least ``_TINY``; pictures' stay as they are."""
    made = {}
    for key, given in stats.items():
        numbers = {name: torch.as_tensor(np.asarray(value)) for name, value in given.items()}
        if key == ACTION or (key.startswith(OBS_PREFIX) and key != IMAGE):
            numbers["std"] = numbers["std"].clamp_min(_TINY)
            middle = (numbers["max"] + numbers["min"]) / 2
            numbers["min"] = torch.minimum(numbers["min"], middle - _TINY)
            numbers["max"] = torch.maximum(numbers["max"], middle + _TINY)
        made[key] = numbers
    return made


def _judge(policy: PreTrainedPolicy, processors: Processors, batches: DataLoader[Any]) -> tuple[float, float]:
    """Mean loss, and mean error of the plans in m and rad."""
    before, after = processors
    losses, errors, examples = 0.0, 0.0, 0
    for raw in batches:
        batch = before(_floats(raw))
        count = len(batch[ACTION])
        losses += policy.forward(batch)[0].item() * count
        errors += _plan_error(policy, batch, raw, after) * count
        examples += count
    return losses / examples, errors / examples


def _plan_error(policy: PreTrainedPolicy, batch: Batch, raw: Batch, after: Any) -> float:
    """Mean distance of a plan's actions from the demonstrated ones; NaN where a policy plans only step by step."""
    policy.reset()
    seen = {key: value for key, value in batch.items() if key != ACTION and not key.endswith("_is_pad")}
    try:
        plan = after(policy.predict_action_chunk(seen)).cpu()
    except (NotImplementedError, KeyError, AssertionError, RuntimeError, ValueError):
        return math.nan
    finally:
        policy.reset()
    now = policy.config.action_delta_indices.index(0)
    wanted, past_end = (raw[key][:, now : now + plan.shape[1]] for key in (ACTION, f"{ACTION}_is_pad"))
    return float((plan[:, : wanted.shape[1]] - wanted).abs()[~past_end].mean())


def _loader(frames: Frames, rows: Iterator[list[int]], workers: int) -> DataLoader[Any]:
    # A generator of its own: DataLoader would otherwise draw from the numbers that training is to repeat.
    return DataLoader(
        frames,
        batch_sampler=_Listed(rows),
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        generator=torch.Generator().manual_seed(0),
    )


class _Listed:
    """Batches of rows as DataLoader takes them."""

    def __init__(self, rows: Iterator[list[int]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[list[int]]:
        return self._rows


def _floats(batch: Batch) -> Batch:
    """Pictures in [0, 1], as LeRobot's training makes them."""
    return {
        key: value.float() / 255 if isinstance(value, Tensor) and value.dtype == torch.uint8 else value
        for key, value in batch.items()
    }


@contextlib.contextmanager
def _random_numbers_of_its_own(seed: int) -> Iterator[None]:
    """The same at every look: a policy that draws (diffusion) is then judged by the same draws."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def _some(rows: Tensor, most: int) -> Tensor:
    return rows[torch.linspace(0, len(rows) - 1, min(most, len(rows))).round().long()]


def _not_last(rows: Tensor, demonstrations: Demonstrations, count: int) -> Tensor:
    """Without the last frames of each episode, where a policy asks for that; all if that would leave none."""
    last = torch.searchsorted(demonstrations.episode, demonstrations.episode[rows], side="right") - 1
    inner = rows[rows <= last - count]
    return inner if len(inner) else rows
