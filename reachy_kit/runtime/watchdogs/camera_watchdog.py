"""A camera that has stopped, never starts, or repeats itself."""

import math

import numpy as np

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import ANGLE_AXES, CAMERA, Array, Image, Observation, Tick
from reachy_kit.runtime.perception.camera import CAMERA_SILENT_AFTER

_THINNED = 16
"""Every so many pixels of a row and of a column are compared."""
_TURNED = math.radians(5.0)
"""Angle by which the head or the body turns while the image stays the same, until the camera counts as frozen."""
_ADVICE = "Is another program using the camera? Restart the robot's daemon, then start this command again"


class CameraWatchdog:
    """Reports a camera whose latest image is old.

    A gap of a second or less, as in a video that comes over the network, is not counted among the faults that end the
    run by their number.

    Args:
        real: whether it is a real camera: two of its images are never the same where the head has turned. In a
            simulation, where the target is out of view, they are.
        silent_after: age of the latest image above which the camera counts as stopped, s.
        advice: what to do where it has stopped, as a sentence.
    """

    patience, brief, starts_over = 3.0, 1.0, True
    error = KitError

    def __init__(self, *, real: bool, silent_after: float = CAMERA_SILENT_AFTER, advice: str = _ADVICE) -> None:
        self._real, self._silent_after, self._advice = real, silent_after, advice
        self.begin()

    def begin(self) -> None:
        """Forget the episode before."""
        self._began: float | None = None
        self._captured = -math.inf
        self._image: Image | None = None
        self._pose: Array | None = None

    def pause(self) -> None:
        """Do nothing: the camera is not paused."""

    def trouble(self, tick: Tick) -> str | None:
        """What is wrong with the camera."""
        observation = tick.observation
        now = observation.capture_time
        self._began = now if self._began is None else self._began
        captured = observation.image_times.get(CAMERA)
        if captured is None:
            silent = now - self._began
            if silent <= self._silent_after:
                return None
            return f"the camera has not delivered an image for {silent:.1f} s. {self._advice}"
        if now - captured > self._silent_after:
            return f"the camera has delivered no new image for {now - captured:.1f} s. {self._advice}"
        if self._real and captured > self._captured and self._repeats(observation):
            return f"the camera delivers the same image again and again, though the head has turned. {self._advice}"
        self._captured = captured
        return None

    def _repeats(self, observation: Observation) -> bool:
        """Whether the image is the one from before the head has turned."""
        thinned = observation.images[CAMERA][::_THINNED, ::_THINNED]
        angles = observation.state[ANGLE_AXES]
        if self._image is None or self._pose is None or not np.array_equal(thinned, self._image):
            self._image, self._pose = thinned.copy(), angles
            return False
        return bool(np.abs(angles - self._pose)[:4].max() > _TURNED)
