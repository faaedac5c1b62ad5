"""Threads that read the SDK's streams and stamp what arrives: measurements and camera frames."""

import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import Image


class StateClock:
    """Stamps the arrival of the daemon's measurements; the SDK itself keeps no times.

    Args:
        arrived: set by the SDK with each measurement.
    """

    def __init__(self, arrived: threading.Event) -> None:
        self.last_arrival = time.monotonic()
        self.arrivals = 0
        """Measurements that have arrived; several at once count as one."""
        self._arrived = arrived
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            if self._arrived.wait(0.2):
                self.last_arrival = time.monotonic()
                self.arrivals += 1
                self._arrived.clear()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()


class FrameReader:
    """Reads frames as they arrive, so that each carries its time and a slow loop never gets an old one.

    Args:
        get_frame: of the SDK: (H, W, 3) BGR, or None where there is nothing new.
    """

    def __init__(self, get_frame: Callable[[], npt.NDArray[np.uint8] | None]) -> None:
        self.latest: tuple[Image, float] | None = None
        self._get_frame = get_frame
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._stopped.wait(0.002):
            frame = self._get_frame()
            if frame is not None:
                self.latest = np.ascontiguousarray(frame[..., ::-1]), time.monotonic()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()
