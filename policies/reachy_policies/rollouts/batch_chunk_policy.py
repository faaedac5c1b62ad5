"""A chunk network that acts in many environments at once."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from reachy_kit.runtime.inference.history import ObservationHistory
from reachy_policies.models.chunk.chunk_network import ChunkNetwork
from reachy_policies.models.chunk.configuration_chunk import ReachyChunkConfig
from reachy_policies.rollouts.network_inputs import Observations, batch_inputs, window_tensors


class BatchChunkPolicy:
    """A ``BatchPolicy`` that carries out the mean of a chunk network's plans.

    Args:
        network: plans chunks.
        config: configuration of its policy.
    """

    def __init__(self, network: ChunkNetwork, config: ReachyChunkConfig) -> None:
        self._network, self._n_action_steps = network, config.n_action_steps
        self._history = ObservationHistory(config.n_obs_steps, images=config.image_shape is not None)
        self._image_shape = config.image_shape
        self._decisions = 0

    def reset(self) -> None:
        """Forget the episodes before."""
        self._history.reset()
        self._decisions = 0

    def act(self, observation: Observations) -> npt.NDArray[Any]:
        """The next of the planned actions, (N, 9)."""
        self._history.append(*batch_inputs(observation, self._image_shape))
        step = self._decisions % self._n_action_steps
        if step == 0:
            with torch.inference_mode():
                self._plan = self._network.plan(*window_tensors(self._history)).numpy()
        self._decisions += 1
        return np.asarray(self._plan[:, step])
