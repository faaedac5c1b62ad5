"""Threads that read the SDK's streams and stamp what arrives: measurements, camera frames and sound."""

import threading
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import Image
from reachy_kit.runtime.perception.hearing.sound_source import Receive


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
                self.latest = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), time.monotonic()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()


class SdkMicrophone:
    """The robot's microphone array, read in a thread: the SDK keeps 200 buffers, drops the oldest, and blocks for one.

    Its two channels are beams that the array has formed, not microphones: the daemon's direction goes with them.

    Args:
        media: the SDK's media manager.
        robot: named in messages.

    Raises:
        KitError: the SDK has no sound here.
    """

    spacing = None
    turns_with_head = True

    def __init__(self, media: Any, robot: str) -> None:
        self.name = f"of {robot}"
        self._media = media
        self.sample_rate, self.channels = int(media.get_input_audio_samplerate()), int(media.get_input_channels())
        if self.sample_rate <= 0 or self.channels <= 0:
            raise KitError(
                f"the SDK has no sound from {robot}: it needs GStreamer ≥ 1.24. "
                "--microphone default listens through this computer"
            )
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, receive: Receive) -> None:
        """Let the array record, and read it."""
        self._media.start_recording()
        self._thread = threading.Thread(target=self._read, args=(receive,), daemon=True)
        self._thread.start()

    def _read(self, receive: Receive) -> None:
        while not self._stopped.is_set():
            samples = self._media.get_audio_sample()  # waits up to 20 ms
            if samples is None or not len(samples):
                self._stopped.wait(0.002)
            else:
                receive(np.asarray(samples, dtype=np.float32).reshape(-1, self.channels))

    def stop(self) -> None:
        """End the thread, and the recording."""
        self._stopped.set()
        if self._thread:
            self._thread.join()
            self._thread = None
            self._media.stop_recording()
