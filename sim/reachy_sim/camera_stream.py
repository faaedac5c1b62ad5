"""The simulated head camera beside the control loop: frames at a rate of its own, rendered by a thread.

A real camera neither waits for the loop nor holds it up. Here the loop notes what a frame shows, which takes
microseconds, and a thread of lower priority draws it.
"""

import contextlib
import threading
from collections import deque
from queue import Empty, Full, Queue

from reachy_kit.runtime.background_thread import lower_priority
from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import Array, Image
from reachy_sim.world import Exposure, SimWorld

CAMERA_HZ = 30
"""Frames per second. Source: the robot's camera, as the daemon opens it (reachy_mini 1.12)."""
_FIRST_FRAME = 20.0
"""Longest wait for an episode's first frame, s; the first of all takes half a second, longer on a busy computer."""

_BACKLOG = 4
"""Frames that may wait to be drawn, or to be fetched, on a busy computer."""
_PAUSE = 0.2
"""Time without a call after which the frames are forgotten, s: they show what was before."""


class CameraStream:
    """Frames of a world's head camera, on the robot's clock.

    Args:
        world: what the camera sees; its poses and times come from ``watch`` and from the calls.
        hz: frames per second.
    """

    def __init__(self, world: SimWorld, hz: int = CAMERA_HZ) -> None:
        self._world, self._period = world, 1 / hz
        self.missed = 0
        """Frames that were due while too many before them were still to be drawn."""
        self._due: Queue[tuple[int, Exposure] | None] = Queue(_BACKLOG)
        self._episode = 0
        self._fresh: deque[tuple[Image, float]] = deque()
        self._latest: tuple[Image, float] | None = None
        self._drawn = threading.Condition()
        self._error: Exception | None = None
        self._last = self._watched = self._called = -float("inf")
        self._thread = threading.Thread(target=self._run, name="camera stream", daemon=True)
        self._thread.start()

    def __call__(self, state: Array, now: float) -> tuple[Image, float]:
        """The latest frame and the time of its capture; waits only for an episode's first.

        A loop that asks more often than frames come gets each of them, in order, also those that a busy computer
        drew late.

        Args:
            state: (9,) measured now.
            now: s on the robot's clock.

        Raises:
            KitError: nothing can be drawn.
        """
        self.watch(state, now)
        in_order, self._called = now - self._called < self._period, now
        with self._drawn:
            self._drawn.wait_for(lambda: self._latest or self._fresh or self._error, _FIRST_FRAME)
            if self._fresh:
                self._latest = self._fresh[0 if in_order else -1]
                self._fresh = deque(list(self._fresh)[1:] if in_order else ())
        if self._error:
            raise self._error
        if self._latest is None:
            raise KitError(
                f"the simulated camera drew no frame within {_FIRST_FRAME:.0f} s: is this computer overloaded?"
            )
        return self._latest

    def watch(self, state: Array, now: float) -> None:
        """Note a (9,) pose measured at ``now``, and have a frame drawn if one is due."""
        exposure = self._world.expose(state, now, self._period)
        if not 0 <= now - self._watched <= _PAUSE:  # another episode: its world and its clock may be others
            self._begin()
        self._watched = now
        since = round((exposure.captured - self._last) / self._period) if self._last > -float("inf") else 1
        if since < 1:
            return
        try:
            self._due.put_nowait((self._episode, exposure))
        except Full:
            return
        self._last = exposure.captured
        self.missed += since - 1

    def close(self) -> None:
        """End the thread."""
        self._due.put(None)
        self._thread.join()

    def _begin(self) -> None:
        """Forget the frames of the episode before."""
        with contextlib.suppress(Empty):
            while True:
                self._due.get_nowait()
        with self._drawn:
            self._episode += 1  # a frame that is being drawn belongs to the one before
            self._last, self._latest = -float("inf"), None
            self._fresh.clear()

    def _run(self) -> None:
        lower_priority()
        while (due := self._due.get()) is not None:
            episode, exposure = due
            try:
                image = self._world.render(exposure)
            except Exception as error:  # raised in the loop
                self._error = error
            with self._drawn:
                if not self._error and episode == self._episode:
                    self._fresh.append((image, exposure.captured))
                    while len(self._fresh) > _BACKLOG:
                        self._fresh.popleft()
                self._drawn.notify_all()
