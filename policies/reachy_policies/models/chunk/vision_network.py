"""A chunk network that takes images: an encoder finds points in them and is trained together with the plan."""

import torch
from torch import Tensor, nn

from reachy_policies.models.chunk.chunk_network import TINY, ChunkNetwork
from reachy_policies.models.chunk.configuration_chunk import ReachyChunkConfig
from reachy_policies.models.chunk.image_encoder import ImageEncoder

IMAGE_STEPS = 2
"""Number of images of a window, the earliest and the latest: positions of things, and how they changed."""
_SCALES = 3.0, 20.0
"""Factors that bring places (halves of the image) and their changes to about unit variance: a ball that crosses the
image in a second moves by a twentieth in 120 ms."""


class VisionChunkNetwork(ChunkNetwork):
    """A ``ChunkNetwork`` with images in the place of ``environment_state``: (B, ``IMAGE_STEPS``, C·H·W), 0 to 255.

    Args:
        config: sizes.
        action_dim: A.
        shape: of an image.
        env_dim: K, features that the encoder learns to predict beside the plan.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, config: ReachyChunkConfig, action_dim: int, shape: tuple[int, ...], env_dim: int) -> None:
        super().__init__(config, action_dim, env_dim=0)
        self.image_encoder, self.sensed_steps = ImageEncoder(shape), IMAGE_STEPS
        self.numbers = self.input_mean.shape[0]
        self.latest = action_dim + self.image_encoder.size
        self.body[0] = nn.Linear(self.numbers + 2 * self.image_encoder.size, config.hidden)
        self.feature_head = nn.Linear(self.image_encoder.size, env_dim)
        self.register_buffer("feature_mean", torch.zeros(env_dim))
        self.register_buffer("feature_std", torch.ones(env_dim))

    def fit_auxiliary_features(self, environment_state: Tensor) -> None:
        """Compute means and deviations of the features, (N, K)."""
        self.feature_mean.copy_(environment_state.mean(0))
        self.feature_std.copy_(environment_state.std(0).clamp_min(TINY))

    def auxiliary_feature_loss(self, inputs: Tensor, environment_state: Tensor) -> Tensor:
        """Mean squared error of the features as predicted from the latest image, in their deviations.

        Args:
            inputs: (B, inputs) of the body.
            environment_state: (B, K) the latest.
        """
        predicted = self.feature_head(inputs[:, self.action_dim : self.latest])
        wanted = (environment_state - self.feature_mean) / self.feature_std
        loss: Tensor = (predicted - wanted).square().mean()
        return loss

    def features(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> Tensor:
        """Features of the poses alone, as in ``ChunkNetwork``."""
        return super().features(state, state[..., :0], last_action)

    def normalised(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> Tensor:
        """Normalised poses, and images as they are because the encoder learns: (B, numbers + pixels)."""
        numbers = super().normalised(state, environment_state, last_action)
        return torch.cat([numbers, environment_state.flatten(1).float()], dim=-1)

    def inputs_from(self, normalised: Tensor) -> Tensor:
        """Inputs of the body: pose and places, then the changes of both."""
        numbers, images = normalised.split([self.numbers, normalised.shape[-1] - self.numbers], dim=-1)
        encoder = self.image_encoder
        points = encoder(images.reshape(-1, *encoder.shape)).unflatten(0, (-1, IMAGE_STEPS))
        place, change = _SCALES
        pose, motion = numbers.split([self.action_dim, self.numbers - self.action_dim], dim=-1)
        return torch.cat([pose, place * points[:, -1], motion, change * (points[:, -1] - points[:, 0])], dim=-1)
