"""Faults of a take that end the recording: a clock that jumps back, a camera that changes its images' size.

A camera that stops or freezes is reported by the camera's watchdog.
"""

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CAMERA, Observation


class TakeFaults:
    """Looks at each observation of a take before it is kept.

    Args:
        image_shape: (height, width, 3) that the dataset holds; None without a camera.
    """

    def __init__(self, image_shape: tuple[int, int, int] | None) -> None:
        self._image_shape = image_shape
        self._last: float | None = None

    def reset(self) -> None:
        """Begin a take."""
        self._last = None

    def check(self, observation: Observation) -> None:
        """Refuse an observation that would spoil the take.

        Raises:
            KitError: the clock has jumped back, or the camera gives images of another size.
        """
        now = observation.capture_time
        if self._last is not None and now < self._last:
            raise KitError(
                f"the robot's clock jumped back by {self._last - now:.2f} s. This episode is not kept; those before it "
                "are. Give the same command again to continue"
            )
        self._last = now
        if self._image_shape is None or CAMERA not in observation.images:
            return
        if (shape := observation.images[CAMERA].shape) != self._image_shape:
            raise KitError(
                f"the camera gives images of {_size(shape)} px instead of {_size(self._image_shape)}. This episode was "
                "not kept; those before it are. Set the camera back, or record into another folder with --out"
            )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} × {shape[0]}"
