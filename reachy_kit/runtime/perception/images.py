"""Images resized to what a vision policy takes, the same in training and on the robot.

Try it: reachy-kit run RUN.bundle --robot sim, with a bundle of a vision policy
"""

import cv2
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import Image

_SHAPE_TOLERANCE = 0.02
"""Share by which an image's aspect ratio may differ from the trained one."""


def resize_image(image: Image, rows: int, columns: int) -> Image:
    """Crop an image to its middle rows and resize it.

    Args:
        image: (H, W, 3) uint8, with the camera's whole width.
        rows: of the result.
        columns: of the result; with the rows they give the aspect ratio that is cropped to.

    Returns:
        (rows, columns, 3) uint8; each pixel is the mean of those that it covers.

    Raises:
        WrongUseError: the image is wider than the result.
    """
    height, width, _ = image.shape
    kept = round(width * rows / columns)
    if kept > height * (1 + _SHAPE_TOLERANCE):
        raise WrongUseError(
            f"this policy was trained on images {columns / rows:.2f} times as wide as high; these are "
            f"{width / height:.2f} times. Give it a camera like the one it was trained with"
        )
    above = max(height - kept, 0) // 2
    middle = image[above : above + min(kept, height)]
    if middle.shape[:2] == (rows, columns):
        return middle
    resized: npt.NDArray[np.uint8] = cv2.resize(middle, (columns, rows), interpolation=cv2.INTER_AREA)
    return resized


def reduce_width(image: Image, width: int) -> Image:
    """Reduce an (H, W, 3) image to ``width`` px in width; a narrower one is returned as it is."""
    rows, columns, _ = image.shape
    if columns <= width:
        return image
    reduced: npt.NDArray[np.uint8] = cv2.resize(
        image, (width, max(round(rows * width / columns), 1)), interpolation=cv2.INTER_AREA
    )
    return reduced
