"""Images as tensors for a network: resized and, in training, augmented."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from lerobot.transforms import ImageTransforms, ImageTransformsConfig
from torch import Tensor

from reachy_kit.runtime.perception.images import resize_image

CHUNK_IMAGE_SHAPE = (3, 36, 64)
"""Channels, rows and columns of the chunk policy's images: the robot's 16:9 stream at a twentieth of 1280 × 720, 1.4°
per pixel. The environments draw the square of the same width around it."""
_GEOMETRIC = ("affine",)
"""Transforms that move the content of an image: the recorded action would no longer fit it."""


def resize_images(images: npt.NDArray[np.uint8], size: Sequence[int]) -> Tensor:
    """Crop and resize images to a policy's input.

    Args:
        images: (…, H, W, 3) uint8, with the camera's whole width.
        size: rows and columns of the result.

    Returns:
        (…, 3, *size) uint8.

    Raises:
        WrongUseError: the images are wider, relative to their height, than the result.
    """
    rows, columns = size
    each = [resize_image(image, rows, columns) for image in images.reshape(-1, *images.shape[-3:])]
    return torch.from_numpy(np.stack(each)).movedim(-1, -3).reshape(*images.shape[:-3], 3, rows, columns)


def resize_image_tensors(images: Tensor, size: Sequence[int]) -> Tensor:
    """``resize_images`` of images that have their channels first, (…, 3, H, W)."""
    return resize_images(images.movedim(-3, -1).numpy(), size)


def make_augmentation() -> ImageTransforms:
    """LeRobot's random changes of brightness, contrast, colour and sharpness."""
    config = ImageTransformsConfig(enable=True)
    config.tfs = {name: transform for name, transform in config.tfs.items() if name not in _GEOMETRIC}
    return ImageTransforms(config)
