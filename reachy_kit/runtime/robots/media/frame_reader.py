"""The robot's camera through the SDK, read in a thread: the newest frame, its time, and whether frames still come."""

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import Image
from reachy_kit.runtime.perception.camera import CAMERA_SILENT_AFTER

_REOPENED_EVERY = 1.0
"""Time without a frame after which the camera is opened again, and time between two tries, s."""
_CLOSING = 0.5
"""Longest wait for the end of the thread, s."""
_PAUSE = 0.005
"""Pause after a look that brought no frame, s: a stream that has ended answers at once, one that lives waits 20 ms."""


class FrameReader:
    """Reads frames as they arrive, so that each carries its time and a slow loop never gets an old one.

    Each frame is converted once, here. A subscriber gets it at that moment; the loop takes ``latest``.

    Args:
        get_frame: of the SDK: (H, W, 3) BGR, or None where there is nothing new.
        reopen: opens a camera that has fallen silent again, as after a restart of its daemon; returns at once.
    """

    def __init__(
        self, get_frame: Callable[[], npt.NDArray[np.uint8] | None], reopen: Callable[[], object] = lambda: None
    ) -> None:
        self.latest: tuple[Image, float] | None = None
        """The newest (H, W, 3) RGB frame and the time of its arrival, s on the monotonic clock; None before one."""
        self._get_frame, self._reopen = get_frame, reopen
        self._opened = time.monotonic()
        self._receivers: tuple[Callable[[Image, float], None], ...] = ()
        self._error: Exception | None = None
        self._first, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(height, width, 3) of the frames, px; None before the first."""
        if self.latest is None:
            return None
        rows, columns, channels = self.latest[0].shape
        return rows, columns, channels

    @property
    def frame_age(self) -> float:
        """Time since the newest frame arrived, s; before the first one, since the camera was opened."""
        return time.monotonic() - (self.latest[1] if self.latest else self._opened)

    @property
    def fault(self) -> str | None:
        """Why there are no frames; None while they come."""
        if self._error:
            return f"cannot be read ({self._error})"
        if self.frame_age <= CAMERA_SILENT_AFTER:
            return None
        if self.latest is None:
            return "has not delivered a frame"
        return f"has delivered no frame for {self.frame_age:.1f} s"

    def wait_for_first(self, within: float) -> bool:
        """Wait for the first frame; False if none came within that many s."""
        return self._first.wait(within) and self._error is None

    def subscribe(self, receive: Callable[[Image, float], None]) -> None:
        """Have a function called with each frame and its time, in the reader's thread; it must return at once."""
        self._receivers = (*self._receivers, receive)

    def unsubscribe(self, receive: Callable[[Image, float], None]) -> None:
        """Call it no more."""
        self._receivers = tuple(known for known in self._receivers if known != receive)

    def stop(self) -> None:
        """End the thread; a camera that does not return is not waited for."""
        self._stopped.set()
        self._thread.join(_CLOSING)

    def _read(self) -> None:
        reopened = self._opened
        while not self._stopped.is_set():
            try:
                frame = self._get_frame()
                arrived = time.monotonic()
                if frame is None:
                    if min(self.frame_age, arrived - reopened) > _REOPENED_EVERY:
                        self._reopen()
                        reopened = arrived
                    self._stopped.wait(_PAUSE)
                    continue
                image = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)
            except Exception as error:  # of any kind: reported as the camera's fault, where a thread's is lost
                self._error = error
                self._first.set()
                return
            self.latest = image, arrived
            self._first.set()
            for receive in self._receivers:
                receive(image, arrived)
