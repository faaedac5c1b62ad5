"""Which of LeRobot's policies there are, what they start from here, and how settings reach them."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import draccus
import lerobot.policies  # noqa: F401  (registers every kind)
import torch
from lerobot.configs import FeatureType, NormalizationMode, PolicyFeature, PreTrainedConfig
from lerobot.policies.factory import make_policy_config
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.schema import IMAGE
from reachy_policies.imitation.supervised import FittingConfig
from reachy_policies.models.chunk import ReachyChunkConfig

DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # LeRobot's are for 50 Hz bimanual work: a plan of two seconds, carried out blind.
        "act": {
            "chunk_size": 16,
            "n_action_steps": 4,
            "dim_model": 256,
            "dim_feedforward": 1024,
            "optimizer_lr": 1e-4,
            "optimizer_lr_backbone": 1e-4,
        },
        "diffusion": {
            "horizon": 16,
            "n_action_steps": 4,
            "drop_n_last_frames": 0,
            "down_dims": (64, 128, 256),
            "noise_scheduler_type": "DDIM",
            "num_inference_steps": 10,
            "do_mask_loss_for_padding": True,
        },
    }
)
"""Where ours differ: sizes for two cores, and plans short enough to answer a moving target."""
OBS_TYPES = ("state", "pixels", "pixels_state")
"""As the environments call them: perception's features, the camera's picture, or both; the pose is always in."""


@dataclass(frozen=True)
class AdapterConfig(FittingConfig):
    """How one of LeRobot's policies is fitted."""

    batch_size: int = 32
    max_steps: int = 20_000
    eval_every: int = 500
    obs_type: str = ""
    """state, pixels or pixels_state. If not given: pixels for a dataset with a camera, else state."""
    image_height: int = 96
    """px; pictures are made this small, of the same shape. 0 keeps them as recorded."""
    augment: bool = True
    """Change brightness, contrast, colour and sharpness of training pictures at random, with LeRobot's transforms."""
    held_out_frames: int = 512
    """At most so many frames of the held-out episodes are looked at, evenly over them."""
    workers: int = 0
    """Processes that read pictures. With any, training that went on after a crash is no longer the same bit for bit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.obs_type not in ("", *OBS_TYPES):
            raise ValueError(f"obs_type must be one of {', '.join(OBS_TYPES)}, got {self.obs_type}")
        if self.held_out_frames < 1 or self.workers < 0 or self.image_height < 0:
            raise ValueError("held_out_frames must be at least 1, workers and image_height at least 0")


def policy_config_class(kind: str) -> type[PreTrainedConfig]:
    """The dataclass of a kind of policy.

    Raises:
        WrongUseError: there is no such kind.
    """
    kinds = sorted(set(PreTrainedConfig.get_known_choices()) - {ReachyChunkConfig.get_choice_name(ReachyChunkConfig)})
    if kind not in kinds:
        raise WrongUseError(f"--policy {kind} does not exist; there are chunk, and LeRobot's {', '.join(kinds)}")
    return typing.cast(type[PreTrainedConfig], PreTrainedConfig.get_choice_class(kind))


def read_policy_config(kind: str, settings: dict[str, Any]) -> PreTrainedConfig:
    """A policy's configuration; the settings it knows are taken out of the dictionary.

    Raises:
        WrongUseError: there is no such kind, or a value does not fit.
    """
    options = policy_config_class(kind)
    types = typing.get_type_hints(options)
    names = [field.name for field in dataclasses.fields(options) if field.init]
    chosen = {}
    for name in [name for name in names if name in settings]:
        try:
            chosen[name] = draccus.decode(types[name], settings.pop(name))
        except Exception as error:  # draccus raises its own, and whatever a type's constructor raises
            raise WrongUseError(f"--set {name} does not fit: {error}") from error
    # No weights from the network: an offline robot could not load the policy either.
    local = {"pretrained_backbone_weights": None, "push_to_hub": False, "device": _device()}
    ours = {name: value for name, value in local.items() if name in names}
    try:
        return make_policy_config(kind, **{**ours, **DEFAULTS.get(kind, {}), **chosen})
    except (ValueError, TypeError, NotImplementedError, ImportError) as error:
        raise WrongUseError(f"--policy {kind}: {error}") from error


def observed(config: AdapterConfig, layout: DatasetLayout) -> str:
    """The kind of observation to train on.

    Raises:
        WrongUseError: it needs a camera that the dataset lacks.
    """
    chosen = config.obs_type or ("pixels" if layout.image_shape else "state")
    if chosen != "state" and not layout.image_shape:
        raise WrongUseError(f"obs_type {chosen} needs pictures, and the dataset has none. Record it with --camera")
    return chosen


def set_features(policy: PreTrainedConfig, obs_type: str, layout: DatasetLayout, image_height: int) -> None:
    """Say what goes in and out. The last action is left out: LeRobot's policies have no place for it.

    Args:
        policy: to be completed.
        obs_type: one of ``OBS_TYPES``.
        layout: of the dataset.
        image_height: px, 0 for as recorded.
    """
    inputs = {OBS_STATE: PolicyFeature(FeatureType.STATE, (len(layout.action),))}
    if obs_type != "pixels":
        inputs[OBS_ENV_STATE] = PolicyFeature(FeatureType.ENV, (len(layout.environment_state),))
    if obs_type != "state":
        assert layout.image_shape is not None
        height, width, _ = layout.image_shape
        small = image_height or height
        inputs[IMAGE] = PolicyFeature(FeatureType.VISUAL, (3, small, round(width * small / height)))
    policy.input_features = inputs
    policy.output_features = {ACTION: PolicyFeature(FeatureType.ACTION, (len(layout.action),))}
    # LeRobot's defaults leave the environment's state as it is; ages in seconds beside bearings want the same scale.
    policy.normalization_mapping.setdefault(
        "ENV", policy.normalization_mapping.get("STATE", NormalizationMode.MEAN_STD)
    )


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
