"""A chunk network that looks at pictures: a small eye learns where in them things are, with everything else."""

import torch
from torch import Tensor, nn

from reachy_policies.models.chunk.chunk_network import ChunkNetwork
from reachy_policies.models.chunk.configuration_chunk import ReachyChunkConfig

PICTURES = 2
"""It looks at the latest and at the earliest picture of a window: where things are, and how that changed."""
_CHANNELS, _POINTS = 16, 8
_SHARPNESS = 3.0
"""Of a map's highest point, in the map's own deviations."""
_TINY = 5e-3
"""Floor of a feature's deviation."""
_SCALES = 3.0, 20.0
"""Bring places (halves of the picture) and their changes in a window to about unit variance: a ball that sweeps the
picture in a second moves by a twentieth in 120 ms."""


class ImageEncoder(nn.Module):
    """Finds a few points in pictures: the middle of each of its maps, and how widely that map is spread.

    Source: spatial soft-argmax, Levine et al. 2016 (arXiv 1504.00702).

    Args:
        shape: channels, rows and columns.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape, self.size = tuple(shape), 3 * _POINTS
        self.maps = nn.Sequential(
            nn.Conv2d(shape[0], _CHANNELS, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_CHANNELS, _POINTS, 1),
        )
        rows, columns = -(-shape[1] // 2), -(-shape[2] // 2)
        down, right = torch.linspace(-1, 1, rows) * rows / columns, torch.linspace(-1, 1, columns)
        places = torch.stack([right.repeat(rows), down.repeat_interleave(columns)], dim=1)
        self.register_buffer("places", places, persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W), 0 to 255 → (B, 3·points) in halves of the picture's width: right, down and spread of each."""
        # With the channels last, a picture costs two thirds of the time on a CPU.
        seen = (pictures.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        maps = self.maps(seen).flatten(2)
        # Untrained maps are nearly flat, their soft-argmax is the middle of the picture, and a small ball moves it by
        # nothing: without this normalisation the eye had not found the ball after 1,500 steps, with it after 400.
        maps = (maps - maps.mean(-1, keepdim=True)) / (maps.std(-1, keepdim=True) + 1e-3)
        weights = (_SHARPNESS * maps).softmax(-1)
        middle = weights @ self.places
        spread = (weights @ self.places.square() - middle.square()).sum(-1, keepdim=True).clamp_min(1e-6).sqrt()
        return torch.cat([middle, spread], dim=-1).flatten(1)


class VisionChunkNetwork(ChunkNetwork):
    """As its parent, with pictures in the place of ``environment_state``: (B, ``PICTURES``, C·H·W), 0 to 255.

    Args:
        config: sizes.
        action_dim: A.
        shape: of a picture.
        env_dim: K, features that the eye learns to name on the side.
    """

    def __init__(self, config: ReachyChunkConfig, action_dim: int, shape: tuple[int, ...], env_dim: int) -> None:
        super().__init__(config, action_dim, env_dim=0)
        self.eye, self.sensed_steps = ImageEncoder(shape), PICTURES
        self.numbers = self.input_mean.shape[0]
        self.latest = action_dim + self.eye.size
        self.body[0] = nn.Linear(self.numbers + 2 * self.eye.size, config.hidden)
        self.naming = nn.Linear(self.eye.size, env_dim)
        self.register_buffer("named_mean", torch.zeros(env_dim))
        self.register_buffer("named_std", torch.ones(env_dim))

    def fit_auxiliary_features(self, environment_state: Tensor) -> None:
        """Take means and deviations of the features, (N, K)."""
        self.named_mean.copy_(environment_state.mean(0))
        self.named_std.copy_(environment_state.std(0).clamp_min(_TINY))

    def auxiliary_feature_loss(self, inputs: Tensor, environment_state: Tensor) -> Tensor:
        """Mean squared error of the features as the eye names them, in their deviations.

        Args:
            inputs: (B, inputs) of the body.
            environment_state: (B, K) the latest.
        """
        named = self.naming(inputs[:, self.action_dim : self.latest])
        wanted = (environment_state - self.named_mean) / self.named_std
        return (named - wanted).square().mean()

    def features(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> Tensor:
        """The parent's, of poses alone."""
        return super().features(state, state[..., :0], last_action)

    def normalised(self, state: Tensor, environment_state: Tensor, last_action: Tensor) -> Tensor:
        """(B, numbers + pictures): what is looked at before the eye, which learns, looks at it."""
        numbers = super().normalised(state, environment_state, last_action)
        return torch.cat([numbers, environment_state.flatten(1).float()], dim=-1)

    def inputs_from(self, normalised: Tensor) -> Tensor:
        """What the body is fed: poses and places, then how both changed."""
        numbers, pictures = normalised.split([self.numbers, normalised.shape[-1] - self.numbers], dim=-1)
        points = self.eye(pictures.reshape(-1, *self.eye.shape)).unflatten(0, (-1, PICTURES))
        place, change = _SCALES
        pose, motion = numbers.split([self.action_dim, self.numbers - self.action_dim], dim=-1)
        return torch.cat([pose, place * points[:, -1], motion, change * (points[:, -1] - points[:, 0])], dim=-1)
