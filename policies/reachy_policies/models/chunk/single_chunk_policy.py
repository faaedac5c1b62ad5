"""The trained chunk policy in the robot's control loop, with the history and the queue of a bundle.

Try it: reachy-kit eval runs/look_at --task look_at
"""

import numpy as np
import torch

from reachy_kit.runtime.inference.chunked import ChunkedPolicy
from reachy_kit.runtime.inference.history import Floats
from reachy_policies.models.chunk.modeling_chunk import ReachyChunkPolicy


def single_chunk_policy(policy: ReachyChunkPolicy) -> ChunkedPolicy:
    """A chunk policy for one robot; it plans the mean chunk."""
    config = policy.config

    def predict(state: Floats, sensed: Floats, last_action: Floats) -> Floats:
        noise = torch.zeros(len(state), config.chunk_size, last_action.shape[-1])
        with torch.no_grad():
            inputs = (torch.from_numpy(part) for part in (state, sensed, last_action))
            return np.asarray(policy.network(*inputs, noise).numpy())

    image_size = None if config.image_shape is None else (config.image_shape[1], config.image_shape[2])
    coefficient = config.temporal_ensemble_coeff
    return ChunkedPolicy(predict, config.n_obs_steps, config.n_action_steps, coefficient, image_size)
