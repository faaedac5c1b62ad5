"""The robot's microphone array through the SDK, read in a thread beside the control loop."""

import threading
from typing import Any

import numpy as np

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.perception.hearing.sound_source import Receive
from reachy_kit.runtime.robots.media.bounded_close import close_within
from reachy_kit.runtime.robots.media.prompt_delivery import deliver_promptly

_CLOSING = 0.5
"""Longest wait for the sound's pipeline to stop, s: the robot lies down afterwards."""


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
        deliver_promptly(getattr(self._media, "audio", None), "_appsink_audio")
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
            close_within(_CLOSING, self._media.stop_recording)
