"""A camera of this computer, or a video, read in a thread of its own: the newest frame, and whether it still comes."""

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import Image

FROZEN_AFTER = 1.0
"""Time without a frame after which a camera counts as lost, s."""
_AGAIN = 0.5
"""Time between two attempts to open a camera that was lost, s."""


class Webcam:
    """A camera whose frames are handed on as they come.

    Args:
        source: number of a camera, the path of its device, or of a video, which is played at its own rate.
        receive: called by the thread with each (H, W, 3) RGB frame and the time of its arrival, s.

    Raises:
        WrongUseError: there is no such camera or video.
    """

    def __init__(self, source: str, receive: Callable[[Image, float], None]) -> None:
        self._source = source or "0"
        self._capture = cv2.VideoCapture(int(self._source) if self._source.isdecimal() else self._source)
        if not self._capture.isOpened():
            raise WrongUseError(
                f"the camera {self._source} cannot be opened. Is it plugged in, and not used by another program? "
                "--teleop mirror:@1 takes the second one"
            )
        self._receive = receive
        self._frame_at = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name="webcam", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> str | None:
        """Why there are no frames; None while they come."""
        silent = time.monotonic() - self._frame_at
        return f"the camera {self._source} has sent no frame for {silent:.0f} s" if silent > FROZEN_AFTER else None

    def close(self) -> None:
        """End the thread, and release the camera."""
        self._stopped.set()
        self._thread.join()
        self._capture.release()

    def _read(self) -> None:
        played = self._period()
        while not self._stopped.is_set():
            arrived, frame = self._capture.read()
            if not arrived:
                self._stopped.wait(_AGAIN)
                self._capture.open(int(self._source) if self._source.isdecimal() else self._source)
                continue
            self._frame_at = time.monotonic()
            self._receive(_rgb(frame), self._frame_at)
            self._stopped.wait(played)

    def _period(self) -> float:
        """Time between frames of a video, s; 0 for a camera, which keeps its own."""
        is_video = self._capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        return 1 / max(self._capture.get(cv2.CAP_PROP_FPS), 1.0) if is_video else 0.0


def _rgb(frame: npt.NDArray[np.uint8]) -> Image:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)
