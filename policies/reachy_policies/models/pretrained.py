"""Loading of a ``pretrained_model`` folder: any of LeRobot's policies with its processors, ours included."""

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

from lerobot.configs import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.processor import PolicyProcessorPipeline

from reachy_kit.runtime.errors import RefusedError

type Processors = tuple[PolicyProcessorPipeline[Any, Any], PolicyProcessorPipeline[Any, Any]]
"""Pipelines of a policy's observations and of its actions."""


def load_pretrained(folder: Path) -> tuple[PreTrainedPolicy, Processors]:
    """Load a policy through LeRobot. Its kind must have been registered, which importing its package does.

    Raises:
        RefusedError: the folder's files are missing or damaged.
    """
    try:
        # LeRobot prints as it loads; standard output belongs to our results.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = PreTrainedConfig.from_pretrained(folder, local_files_only=True)
            policy = get_policy_class(config.type).from_pretrained(folder, config=config, strict=True)
            processors = make_pre_post_processors(config, pretrained_path=str(folder))
    except RefusedError:
        raise  # from a base inside the folder; its message is precise
    except Exception as error:  # draccus, safetensors, torch and LeRobot each raise exceptions of their own
        raise RefusedError(f"{folder} cannot be loaded ({error}). Train it again") from error
    return policy, processors


def save_pretrained(folder: Path, policy: PreTrainedPolicy, processors: Processors) -> None:
    """Write the folder that ``load_pretrained`` reads."""
    policy.save_pretrained(folder)
    for processor in processors:
        processor.save_pretrained(folder)
