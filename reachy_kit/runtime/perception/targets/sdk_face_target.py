"""sdk-face: the face that the robot's own daemon tracks (YuNet in reachy_mini), in place of a detector of ours.

It costs this computer nothing. The daemon needs a camera, and a model that comes from the Hub at its first use. It says
where in the image a face is, and nothing of its size: the distance is taken to be ``DISTANCE``.

Try it: reachy-kit run track.bundle --robot HOST --target sdk-face
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from reachy_kit.runtime.errors import KitError, NoRobotError, WrongUseError
from reachy_kit.runtime.interface import Array, Observation, Robot
from reachy_kit.runtime.perception.camera import PinholeCamera
from reachy_kit.runtime.perception.target import TARGET_FEATURES, TargetMemory, size_at
from reachy_kit.runtime.perception.targets.target_kind import CLOSING, TargetContext, TargetKind

DISTANCE = 0.8
"""Distance at which a face is taken to be, m: a conversation across a table."""
FIRST_FRAME = 8.0
"""Longest wait for the daemon's first look at a frame, s: it loads the model first."""
_POLL = 0.02
"""Time between two questions for the tracked face, s."""
_FRAME = PinholeCamera(width=1280, height=720)
"""The robot's stream, whose proportions the daemon's frames have too."""


class FaceTracking(Protocol):
    """Face tracking of a robot's daemon."""

    def start(self) -> None:
        """Let the daemon look for faces."""
        ...

    def latest(self) -> tuple[float | None, tuple[float, float] | None]:
        """Time stamp of the frame, None before the first; the face's place, −1 to 1 right and down, None without."""
        ...

    def stop(self) -> None:
        """Let it stop."""
        ...


class TrackedFacePerception:
    """``TARGET_FEATURES`` of the face that the daemon tracks, asked for in a thread beside the control loop.

    Args:
        tracking: of the robot's daemon.

    Raises:
        KitError: the daemon looks at no frame.
        NoRobotError: it does not answer.
    """

    names = TARGET_FEATURES

    def __init__(self, tracking: FaceTracking) -> None:
        self._tracking, self._memory = tracking, TargetMemory()
        self._latest: tuple[Array | None, float] | None = None
        self._stamp: float | None = None
        self._error: NoRobotError | None = None
        self._seen, self._stopped = threading.Event(), threading.Event()
        tracking.start()
        self._thread = threading.Thread(target=self._run, name="tracked face", daemon=True)
        self._thread.start()
        try:
            self._wait_for_frame()
        except BaseException:  # Ctrl-C too
            self.close()
            raise

    def reset(self, seed: int) -> None:
        """Forget the face of the episode before."""
        self._memory.reset()
        self._latest = None

    def perceive(self, observation: Observation) -> Array:
        """(5,) features of the daemon's latest frame; its time is that of arrival here.

        Raises:
            NoRobotError: the daemon has stopped answering.
        """
        if self._error:
            raise self._error
        now = observation.capture_time
        sighting, captured = self._latest or (None, now)
        return self._memory.update(sighting, captured, now)

    def close(self) -> None:
        """End the thread and the daemon's tracking; a daemon that takes long to answer is not waited for."""
        self._stopped.set()
        self._thread.join(CLOSING)

    def _wait_for_frame(self) -> None:
        seen = self._seen.wait(FIRST_FRAME)
        if self._error:
            raise self._error
        if not seen:
            raise KitError(
                f"the robot's daemon has looked at no frame for faces within {FIRST_FRAME:.0f} s: it has no camera, or "
                "lacks its model, which it fetches from the Hub at first use. Give it network once, or --target face"
            )

    def _run(self) -> None:
        self._poll()
        with contextlib.suppress(NoRobotError):  # a lost robot is reported by the loop that drives it
            self._tracking.stop()

    def _poll(self) -> None:
        while not self._stopped.wait(_POLL):
            try:
                stamp, place = self._tracking.latest()
            except NoRobotError as error:  # raised in the control loop
                self._error = error
                self._seen.set()
                return
            if stamp is None or stamp == self._stamp:
                continue
            self._stamp = stamp
            self._latest = (None if place is None else _sighting(*place), time.monotonic())
            self._seen.set()


def _sighting(right: float, below: float) -> Array:
    column, row = (right + 1) / 2 * (_FRAME.width - 1), (below + 1) / 2 * (_FRAME.height - 1)
    return np.array([*_FRAME.bearing(column, row), size_at(DISTANCE)])


@contextlib.contextmanager
def _open_perception(context: TargetContext) -> Iterator[TrackedFacePerception]:
    if context.argument:
        raise WrongUseError(f"--target sdk-face:{context.argument}: it takes no argument")
    with contextlib.closing(TrackedFacePerception(_tracking_of(context.robot))) as perception:
        yield perception


def _tracking_of(robot: Robot) -> FaceTracking:
    tracking: FaceTracking | None = getattr(robot, "face_tracking", None)
    if tracking is None:
        raise WrongUseError("--target sdk-face needs a robot's daemon: take --robot HOST, or --target face")
    return tracking


TARGET = TargetKind(_open_perception)
