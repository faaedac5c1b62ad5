"""What a policy sees of the camera's picture: cut to its shape and made small, the same in training and on the robot.

Try it: reachy-kit run RUN.bundle --robot sim, with a bundle that looks at pictures
"""

import cv2
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import Image

_SHAPE_TOLERANCE = 0.02
"""By which a picture's width over its height may differ from the trained one."""


def small_picture(image: Image, rows: int, columns: int) -> Image:
    """The middle rows of a picture that is higher than what is wanted, made small.

    Args:
        image: (H, W, 3) uint8, with the camera's whole width.
        rows: wanted.
        columns: wanted.

    Returns:
        (rows, columns, 3) uint8; each pixel is the mean of those that it covers.

    Raises:
        WrongUseError: the picture is wider than what is wanted.
    """
    height, width, _ = image.shape
    kept = round(width * rows / columns)
    if kept > height * (1 + _SHAPE_TOLERANCE):
        raise WrongUseError(
            f"this policy was trained on pictures {columns / rows:.2f} times as wide as high; these are "
            f"{width / height:.2f} times. Give it a camera like the one it was trained with"
        )
    above = max(height - kept, 0) // 2
    middle = image[above : above + min(kept, height)]
    if middle.shape[:2] == (rows, columns):
        return middle
    made: npt.NDArray[np.uint8] = cv2.resize(middle, (columns, rows), interpolation=cv2.INTER_AREA)
    return made
