"""A detector in a thread beside the control loop: the newest frame waits, older ones are dropped."""

import threading
import time
from collections import deque
from typing import NamedTuple

import numpy as np

from reachy_kit.runtime.interface import Array, Image
from reachy_kit.runtime.perception.images import reduce_width
from reachy_kit.runtime.perception.targets.target_kind import CLOSING, Detector

_REMEMBERED = 1000
"""Detections whose duration is remembered."""


class Sighting(NamedTuple):
    """What a detector found in a frame."""

    target: Array | None
    """(3,) rad, as ``Detector.detect`` returns it; None where the frame shows no target."""
    captured: float
    """Time at which the frame was captured, s on the robot's clock."""


class DetectionThread:
    """Runs a detector on the newest frame.

    Args:
        detector: is called by this thread alone.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._changed = threading.Condition()
        self._waiting: tuple[Image, float] | None = None
        self._result: Sighting | None = None
        self._error: Exception | None = None
        self._episode = 0
        self._offered, self._working, self._stopped = -np.inf, False, False
        self._durations: deque[float] = deque(maxlen=_REMEMBERED)
        self._thread = threading.Thread(target=self._run, name="target detection", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Begin an episode: a frame of the one before, even if it is in work, yields nothing."""
        with self._changed:
            self._episode += 1
            self._waiting = self._result = None
            self._offered = -np.inf

    def offer(self, image: Image, captured: float) -> None:
        """Give the detector a frame; one that is not newer than the last is ignored, as a frozen camera's is."""
        with self._changed:
            if captured > self._offered:
                self._waiting, self._offered = (image, captured), captured
                self._changed.notify_all()

    def latest(self, patience: float = 0.0) -> Sighting | None:
        """The last sighting; None before the first.

        Args:
            patience: longest wait for the frames that were offered, s.

        Raises:
            Exception: whatever the detector raised.
        """
        with self._changed:
            if patience > 0:
                self._changed.wait_for(lambda: not (self._waiting or self._working) or self._error, patience)
            if self._error:
                raise self._error
            return self._result

    @property
    def durations(self) -> Array:
        """Wall time of the last detections, s."""
        with self._changed:
            return np.array(self._durations)

    def stop(self) -> None:
        """End the thread, after the frame that it works on; a detector that takes long for it is not waited for."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(CLOSING)

    def _run(self) -> None:
        episode = 0
        while True:
            with self._changed:
                self._working = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stopped or self._waiting is not None)
                if self._stopped or self._waiting is None:
                    return
                (image, captured), self._waiting, self._working = self._waiting, None, True
                begins, episode = episode != self._episode, self._episode
            started = time.perf_counter()
            try:
                if begins:
                    self._detector.reset()
                found = Sighting(self._detector.detect(reduce_width(image, self._detector.width)), captured)
            except Exception as error:  # raised in the control loop
                with self._changed:
                    self._error, self._working = error, False
                    self._changed.notify_all()
                return
            with self._changed:
                self._durations.append(time.perf_counter() - started)
                if episode == self._episode:
                    self._result = found
