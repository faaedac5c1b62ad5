"""Trained policies that act: one robot in its control loop, or N environments at once."""

import contextlib
import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import OBS_ENV_STATE, OBS_STATE
from torch import Tensor

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import CAMERA, Action, Observation
from reachy_kit.runtime.recording.schema import IMAGE, OBS_LAST_ACTION
from reachy_policies.data.image_tensors import fitted
from reachy_policies.imitation.behavior_cloning import Processors
from reachy_policies.runs.run import MODEL, Run

NAMES = {"agent_pos": OBS_STATE, "environment_state": OBS_ENV_STATE, "last_action": OBS_LAST_ACTION, "pixels": IMAGE}
"""What the environments call it → what LeRobot calls it."""


class BatchActing:
    """A policy of N environments at once, a ``BatchPolicy``; the policy keeps histories and plans of all of them.

    Args:
        policy: in evaluation mode.
        processors: before and after it.
        instruction: the task in words.
    """

    def __init__(self, policy: PreTrainedPolicy, processors: Processors, instruction: str) -> None:
        self._policy, self._instruction = policy, instruction
        self._before, self._after = processors
        self._inputs: dict[str, Any] = policy.config.input_features

    def begin(self, observation: Mapping[str, npt.NDArray[Any]]) -> None:
        """New episodes in all environments."""
        self._policy.reset()

    def act(self, observation: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """(N, 9) m and rad; called once a decision.

        Args:
            observation: (N, …) each: ``agent_pos``, ``environment_state``, ``last_action``; ``pixels``
                (N, H, W, 3) uint8.

        Raises:
            WrongUseError: something that the policy looks at is not there.
        """
        batch: dict[str, Any] = {"task": [self._instruction] * len(observation["agent_pos"])}
        for name, key in NAMES.items():
            if key not in self._inputs:
                continue
            if name not in observation:
                raise WrongUseError(f"this policy looks at {key}, which is not there" + _HINTS.get(name, ""))
            batch[key] = self._picture(observation[name]) if key == IMAGE else _floats(observation[name])
        with torch.inference_mode():
            action = self._after(self._policy.select_action(self._before(batch)))
        return np.asarray(action.cpu().numpy())

    def _picture(self, pixels: npt.NDArray[Any]) -> Tensor:
        return fitted(pixels, self._inputs[IMAGE].shape[1:]).float() / 255


class SingleActing:
    """A policy of one robot, a ``Policy`` of the control loop: the batch of one.

    Args:
        batch: the policy.
    """

    def __init__(self, batch: BatchActing) -> None:
        self._batch = batch

    def reset(self) -> None:
        """Forget the episode before."""
        self._batch.begin({})

    def act(self, observation: Observation) -> Action:
        """(9,) the next action.

        Raises:
            WrongUseError: something that the policy looks at is not there.
        """
        last = observation.state if observation.last_action is None else observation.last_action
        seen = {"agent_pos": observation.state, "last_action": last}
        if observation.environment_state is not None:
            seen["environment_state"] = np.asarray(observation.environment_state)
        if CAMERA in observation.images:
            seen["pixels"] = observation.images[CAMERA]
        action = self._batch.act({name: value[None] for name, value in seen.items()})
        return np.asarray(action[0], dtype=np.float64)


def batch_policy_of(run: Run) -> BatchActing:
    """A run's policy for N environments at once; of any kind, the chunk policy too.

    Raises:
        RefusedError: its files are missing or damaged.
    """
    policy, processors = load(run)
    return BatchActing(policy, processors, run.card.settings.get("instruction", run.card.task))


def single_policy_of(run: Run) -> SingleActing:
    """A run's policy for the robot's control loop.

    Raises:
        RefusedError: its files are missing or damaged.
    """
    return SingleActing(batch_policy_of(run))


def load(run: Run) -> tuple[PreTrainedPolicy, Processors]:
    """A run's policy and processors, through LeRobot's own loading.

    Raises:
        RefusedError: its files are missing or damaged.
    """
    folder = run.path / MODEL
    try:
        # LeRobot prints as it loads; standard output belongs to our results.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = PreTrainedConfig.from_pretrained(folder)
            policy = get_policy_class(run.card.policy).from_pretrained(folder, config=config, strict=True)
            processors = make_pre_post_processors(config, pretrained_path=str(folder))
    except Exception as error:  # draccus, safetensors, torch and LeRobot each raise their own
        raise RefusedError(f"{folder} cannot be loaded ({error}). Train it again") from error
    return policy, processors


def _floats(values: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


_HINTS = {"pixels": ": open the robot with its camera", "environment_state": "; it needs perception"}
