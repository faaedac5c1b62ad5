"""Pictures on their way into a network: made small and, in training, changed at random."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from lerobot.transforms import ImageTransforms, ImageTransformsConfig
from torch import Tensor

from reachy_kit.runtime.perception.images import resize_image

SMALL = (3, 36, 64)
"""Channels, rows and columns that the chunk policy looks at: the robot's 16:9 stream at a twentieth of 1280 × 720, 1.4°
a pixel. The environments draw the square of the same width around it."""
_GEOMETRIC = ("affine",)
"""Transforms that move what is seen: the action would no longer be the right one."""


def fitted(pixels: npt.NDArray[np.uint8], size: Sequence[int]) -> Tensor:
    """Pictures as a policy sees them.

    Args:
        pixels: (…, H, W, 3) uint8, with the camera's whole width.
        size: rows and columns wanted.

    Returns:
        (…, 3, *size) uint8.

    Raises:
        WrongUseError: they are wider than what is wanted.
    """
    rows, columns = size
    each = [resize_image(one, rows, columns) for one in pixels.reshape(-1, *pixels.shape[-3:])]
    return torch.from_numpy(np.stack(each)).movedim(-1, -3).reshape(*pixels.shape[:-3], 3, rows, columns)


def shrink(pictures: Tensor, size: Sequence[int]) -> Tensor:
    """``fitted`` of pictures that have their channels first, (…, 3, H, W)."""
    return fitted(pictures.movedim(-3, -1).numpy(), size)


def augmentation() -> ImageTransforms:
    """LeRobot's random changes of brightness, contrast, colour and sharpness."""
    config = ImageTransformsConfig(enable=True)
    config.tfs = {name: transform for name, transform in config.tfs.items() if name not in _GEOMETRIC}
    return ImageTransforms(config)
