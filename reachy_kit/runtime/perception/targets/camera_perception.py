"""Perception of a target in the camera's frames, without holding up the control loop.

On a wall clock the detector runs in a thread: a decision takes what the thread has finished, and the features' age says
how old the frame is. A robot's own camera gives the thread each frame as it arrives, so that it is looked at before the
decision that uses it; a simulated camera's frames come with the observations. In simulated time nothing passes while a
detector works, and the frame at hand is used.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CAMERA, Array, Image, Observation, Perception
from reachy_kit.runtime.perception.images import reduce_width
from reachy_kit.runtime.perception.target import AGE, MAX_AGE, TARGET_FEATURES, TargetMemory
from reachy_kit.runtime.perception.targets.detection_thread import DetectionThread, Sighting
from reachy_kit.runtime.perception.targets.target_kind import Detector, FrameSource, TargetContext

PATIENCE = 0.004
"""Longest wait of a decision for a detector that has just been given its frame and has usually finished by then, s; a
fifth of a tick. The ball's takes 2 ms, so that it answers in the same decision; a slower detector is not waited for."""
_KNOWN_AFTER = 5
"""Detections after which a detector's usual duration is known."""


FROZEN = (
    "the camera delivers no new image, and the policy no longer sees its target. Is another program using the camera? "
    "Restart the robot's daemon"
)
"""What is said of a camera that has stopped."""


@dataclass(frozen=True)
class DetectionSummary:
    """How a detector kept up with the control loop."""

    frames: int
    """Frames that were looked at, of the last thousand."""
    median: float
    """Median time that the detector took for one, s; NaN without frames."""
    slowest: float
    """99th percentile of that time, s; NaN without frames."""
    stale: float
    """Share of the decisions for which no frame of the last second had shown the target."""
    frozen: bool
    """Whether the camera delivered no new frame during the last second."""

    def text(self) -> str:
        """A line for people."""
        line = f"detector: {1e3 * self.median:.0f} ms per frame (99 %: {1e3 * self.slowest:.0f} ms)"
        line = line if self.frames else "detector: it received no frame"
        return f"{line}; no target within the last second in {100 * self.stale:.0f} % of the decisions"

    def summary(self) -> dict[str, float | int | None]:
        """The same for scripts."""
        times = (1e3 * self.median, 1e3 * self.slowest)
        median, slowest = (round(value, 2) if self.frames else None for value in times)
        return {"frames": self.frames, "median_ms": median, "p99_ms": slowest, "stale": round(self.stale, 4)}


class CameraPerception:
    """``TARGET_FEATURES`` from the head camera's frames.

    Args:
        detector: looks for the target.
        beside_loop: run it in a thread, which ``close`` ends.
        frames: gives that thread its frames; without one the observations do.
    """

    names = TARGET_FEATURES

    def __init__(self, detector: Detector, *, beside_loop: bool = False, frames: FrameSource | None = None) -> None:
        self._detector = detector
        self._thread = DetectionThread(detector) if beside_loop else None
        self._frames = frames if beside_loop else None
        if self._thread and self._frames:
            self._frames.subscribe(self._thread.offer)
        self._memory = TargetMemory()
        self._decisions, self._stale, self._frozen_for = 0, 0, 0.0

    def reset(self, seed: int) -> None:
        """Forget the target of the episode before."""
        self._memory.reset()
        self._frozen_for = 0.0
        if self._thread:
            self._thread.begin()
        else:
            self._detector.reset()

    def perceive(self, observation: Observation) -> Array:
        """(5,) features of the latest frame that the detector has finished; without one the last sighting grows old.

        Raises:
            KitError: the camera delivers something that is not a colour image.
        """
        now = observation.capture_time
        image = observation.images.get(CAMERA)
        captured = observation.image_times.get(CAMERA, now)
        self._frozen_for = now - captured if image is not None else MAX_AGE
        found = self._look(image, captured)
        features = self._memory.update(found.target if found else None, found.captured if found else now, now)
        self._decisions += 1
        self._stale += features[AGE] >= MAX_AGE
        return features

    @property
    def beside_loop(self) -> bool:
        """Whether the detector runs in a thread."""
        return self._thread is not None

    def _look(self, image: Image | None, captured: float) -> Sighting | None:
        if image is not None:
            _require_colour(image)
        if self._thread is None:
            if image is None:
                return None
            return Sighting(self._detector.detect(reduce_width(image, self._detector.width)), captured)
        if self._frames:
            return self._thread.latest()
        if image is not None:
            self._thread.offer(image, captured)
        durations = self._thread.durations
        quick = len(durations) >= _KNOWN_AFTER and np.quantile(durations, 0.9) < PATIENCE
        return self._thread.latest(PATIENCE if quick else 0.0)

    def summary(self) -> DetectionSummary:
        """How the detector kept up, over all decisions."""
        durations = self._thread.durations if self._thread else np.zeros(0)
        median, slowest = np.quantile(durations, [0.5, 0.99]) if len(durations) else (np.nan, np.nan)
        stale = self._stale / max(self._decisions, 1)
        return DetectionSummary(len(durations), float(median), float(slowest), stale, self._frozen_for >= MAX_AGE)

    def close(self) -> None:
        """End the thread."""
        if self._thread:
            if self._frames:
                self._frames.unsubscribe(self._thread.offer)
            self._thread.stop()


def open_camera_perception(
    open_detector: Callable[[str], Detector],
) -> Callable[[TargetContext], contextlib.AbstractContextManager[CameraPerception]]:
    """``TargetKind.open_perception`` of a target that is looked for in the camera's frames.

    Args:
        open_detector: makes the detector from the target's argument.
    """

    @contextlib.contextmanager
    def opened(context: TargetContext) -> Iterator[CameraPerception]:
        detector = open_detector(context.argument)
        perception = CameraPerception(detector, beside_loop=context.beside_loop, frames=context.frames)
        with contextlib.closing(perception):
            yield perception

    return opened


def summarize_detection(perception: Perception) -> DetectionSummary | None:
    """How the detector of a session kept up; None where none runs beside the loop."""
    return perception.summary() if isinstance(perception, CameraPerception) and perception.beside_loop else None


def _require_colour(image: Image) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or min(image.shape[:2]) < 16:
        raise KitError(
            f"the camera delivers an array of shape {image.shape} and type {image.dtype}; a colour image has the shape "
            "(height, width, 3) and the type uint8. Is another device open as the camera?"
        )
