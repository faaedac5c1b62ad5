"""Configurations of LeRobot's policies: our defaults, and settings by name."""

import dataclasses
import typing
from collections.abc import Mapping
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
from reachy_policies.models.chunk import ReachyChunkConfig

DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # LeRobot's are for 50 Hz bimanual work: a plan of two seconds, carried out without observing.
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
"""Our defaults where they differ: sizes for two cores, and plans short enough to follow a moving target."""
_NOT_IMITATION: Mapping[str, str] = MappingProxyType(
    {
        "gaussian_actor": "is the actor of LeRobot's reinforcement learning and has no loss on demonstrations "
        "(reinforcement learning is the command train rl)",
        "tdmpc": "learns from rewards, which imitation does not use (reinforcement learning is the command train rl)",
        "vqbet": "learns in two stages whose losses cannot be compared, so the weights that do best on held-out "
        "episodes cannot be chosen. LeRobot's own lerobot-train trains it",
    }
)
"""LeRobot's kinds that cannot be fitted to demonstrations here, and what there is instead."""
_RESIDUAL = "reachy_residual"
"""This kit's kind that corrects another policy and learns in the simulator."""
_PRETRAINED = frozenset(
    (
        "eo1", "evo1", "fastwam", "groot", "lingbot_va", "molmoact2", "multi_task_dit",
        "pi0", "pi05", "pi0_fast", "smolvla", "vla_jepa", "wall_x", "xvla",
    )
)  # fmt: skip
"""LeRobot's kinds that start from large pretrained networks."""
OBS_TYPES = ("state", "pixels", "pixels_state")
"""Kinds of observations: perception's features, the camera's image, or both; the pose is always an input."""


def policy_config_class(kind: str) -> type[PreTrainedConfig]:
    """The dataclass of a kind of policy.

    Raises:
        WrongUseError: the kind does not exist, or cannot be trained here.
    """
    known = set(PreTrainedConfig.get_known_choices()) - {ReachyChunkConfig.get_choice_name(ReachyChunkConfig)}
    kinds = ", ".join(("chunk", *sorted(known - {*_PRETRAINED, *_NOT_IMITATION, _RESIDUAL})))
    if kind not in known - {_RESIDUAL}:
        raise WrongUseError(f"--policy {kind} does not exist; there are {kinds}")
    if kind in _PRETRAINED:
        raise WrongUseError(
            f"--policy {kind} starts from pretrained weights, which reachy-kit does not download. LeRobot's own "
            f"lerobot-train trains it; here there are {kinds}"
        )
    if kind in _NOT_IMITATION:
        raise WrongUseError(f"--policy {kind} {_NOT_IMITATION[kind]}; here there are {kinds}")
    return typing.cast(type[PreTrainedConfig], PreTrainedConfig.get_choice_class(kind))


def read_policy_config(kind: str, settings: dict[str, Any]) -> PreTrainedConfig:
    """A policy's configuration; the settings it knows are taken out of the dictionary.

    Raises:
        WrongUseError: the kind does not exist, or a value does not fit.
    """
    options = policy_config_class(kind)
    types = typing.get_type_hints(options)
    names = [field.name for field in dataclasses.fields(options) if field.init]
    chosen = {}
    for name in [name for name in names if name in settings]:
        try:
            chosen[name] = draccus.decode(types[name], settings.pop(name))
        except Exception as error:  # draccus raises exceptions of its own and those of a type's constructor
            raise WrongUseError(f"--set {name} does not fit: {error}") from error
    # No weights from the network: an offline robot could not load the policy either.
    local = {"pretrained_backbone_weights": None, "push_to_hub": False, "device": _device()}
    ours = {name: value for name, value in local.items() if name in names}
    try:
        return make_policy_config(kind, **{**ours, **DEFAULTS.get(kind, {}), **chosen})
    except (ValueError, TypeError, NotImplementedError, ImportError) as error:
        raise WrongUseError(f"--policy {kind}: {error}") from error


def check_obs_type(obs_type: str, layout: DatasetLayout) -> None:
    """Check that a dataset holds what a policy is to observe.

    Raises:
        WrongUseError: it needs a camera that the dataset lacks.
    """
    if obs_type != "state" and not layout.image_shape:
        raise WrongUseError(f"obs_type {obs_type} needs images, and the dataset has none. Record it with --camera")


def set_features(policy: PreTrainedConfig, obs_type: str, layout: DatasetLayout, image_height: int) -> None:
    """Set the input and output features. The last action is left out: LeRobot's policies have no input for it.

    Args:
        policy: the configuration to complete.
        obs_type: one of ``OBS_TYPES``.
        layout: of the dataset.
        image_height: px; 0 keeps the images as recorded.
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
    # LeRobot's defaults leave the environment's state as it is; ages in s and bearings in rad need the same scale.
    policy.normalization_mapping.setdefault(
        "ENV", policy.normalization_mapping.get("STATE", NormalizationMode.MEAN_STD)
    )


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
