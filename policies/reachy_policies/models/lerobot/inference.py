"""Inference of any LeRobot policy, ours included: for N environments at once, or for one robot in its loop."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import OBS_ENV_STATE, OBS_STATE
from torch import Tensor

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import CAMERA, Action, Observation
from reachy_kit.runtime.recording.schema import IMAGE, OBS_LAST_ACTION
from reachy_policies.data.image_tensors import resize_images
from reachy_policies.models.pretrained import Processors

NAMES = {"agent_pos": OBS_STATE, "environment_state": OBS_ENV_STATE, "last_action": OBS_LAST_ACTION, "pixels": IMAGE}
"""Keys of the environments → LeRobot's keys."""
_HINTS = {"pixels": ": open the robot with its camera", "environment_state": "; it needs perception"}


class LeRobotBatchPolicy:
    """A policy of N environments at once, a ``BatchPolicy``; LeRobot's policy keeps histories and plans of all of them.

    Args:
        policy: in evaluation mode.
        processors: before and after it.
        instruction: the task in words.
    """

    def __init__(self, policy: PreTrainedPolicy, processors: Processors, instruction: str) -> None:
        self.policy, self._instruction = policy, instruction
        self._before, self._after = processors
        self._inputs: dict[str, Any] = policy.config.input_features

    def reset(self) -> None:
        """Forget the episodes before."""
        self.policy.reset()

    def act(self, observation: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """(N, 9) m and rad; called once per decision.

        Args:
            observation: (N, …) each: ``agent_pos``, ``environment_state``, ``last_action``; ``pixels``
                (N, H, W, 3) uint8.

        Raises:
            WrongUseError: an input of the policy is missing.
        """
        batch: dict[str, Any] = {"task": [self._instruction] * len(observation["agent_pos"])}
        for name, key in NAMES.items():
            if key not in self._inputs:
                continue
            if name not in observation:
                raise WrongUseError(f"this policy takes {key}, which is missing" + _HINTS.get(name, ""))
            batch[key] = self._image(observation[name]) if key == IMAGE else _float_tensor(observation[name])
        with torch.inference_mode():
            action = self._after(self.policy.select_action(self._before(batch)))
        return np.asarray(action.cpu().numpy())

    def _image(self, pixels: npt.NDArray[Any]) -> Tensor:
        return resize_images(pixels, self._inputs[IMAGE].shape[1:]).float() / 255


class LeRobotPolicy:
    """A policy of one robot, a ``Policy`` of the control loop: the batch of one.

    Args:
        batch: the policy.
    """

    def __init__(self, batch: LeRobotBatchPolicy) -> None:
        self._batch = batch

    def reset(self) -> None:
        """Forget the episode before."""
        self._batch.reset()

    def act(self, observation: Observation) -> Action:
        """(9,) the next action.

        Raises:
            WrongUseError: an input of the policy is missing.
        """
        state, last_action = observation.state, observation.action_in_force
        inputs: dict[str, npt.NDArray[Any]] = {"agent_pos": state, "last_action": last_action}
        if observation.environment_state is not None:
            inputs["environment_state"] = np.asarray(observation.environment_state)
        if CAMERA in observation.images:
            inputs["pixels"] = observation.images[CAMERA]
        action = self._batch.act({name: value[None] for name, value in inputs.items()})
        return np.asarray(action[0], dtype=np.float64)


def _float_tensor(values: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
