"""Pictures on their way into a network: cut, made small and, in training, changed at random.

The same for recorded videos, for the simulator's eye and for the robot's camera.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from lerobot.transforms import ImageTransforms, ImageTransformsConfig
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from reachy_kit.errors import WrongUseError

SMALL = (3, 36, 64)
"""Channels, rows and columns that the chunk policy looks at: the robot's 16:9 stream at a twentieth of 1280 × 720, 1.4°
a pixel. The environments draw the square of the same width around it."""
_SHAPE_TOLERANCE = 0.02
"""By which a picture's width over its height may differ from the trained one."""
_GEOMETRIC = ("affine",)
"""Transforms that move what is seen: the action would no longer be the right one."""


def shrink(pictures: Tensor, size: Sequence[int]) -> Tensor:
    """(…, 3, H, W) uint8 → (…, 3, *size) uint8; the same in training and on the robot."""
    return pictures if list(pictures.shape[-2:]) == list(size) else resize(pictures, list(size), antialias=True)


def fitted(pixels: npt.NDArray[np.uint8], size: Sequence[int]) -> Tensor:
    """What a policy sees of a picture: if it is higher than what it was trained on, its middle rows; made small.

    Args:
        pixels: (…, H, W, 3) uint8, with the camera's whole width.
        size: rows and columns wanted.

    Returns:
        (…, 3, *size) uint8.

    Raises:
        WrongUseError: it is wider than what is wanted.
    """
    (height, width), (rows, columns) = pixels.shape[-3:-1], size
    kept = round(width * rows / columns)
    if kept > height * (1 + _SHAPE_TOLERANCE):
        raise WrongUseError(
            f"this policy was trained on pictures {columns / rows:.2f} times as wide as high; these are "
            f"{width / height:.2f} times. Give it a camera like the one it was trained with"
        )
    above = max(height - kept, 0) // 2
    middle = pixels[..., above : above + min(kept, height), :, :]
    return shrink(torch.from_numpy(np.ascontiguousarray(np.moveaxis(middle, -1, -3))), size)


def augmentation() -> ImageTransforms:
    """LeRobot's random changes of brightness, contrast, colour and sharpness."""
    config = ImageTransformsConfig(enable=True)
    config.tfs = {name: transform for name, transform in config.tfs.items() if name not in _GEOMETRIC}
    return ImageTransforms(config)
