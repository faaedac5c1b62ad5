"""Pictures of the robot drawn here, for browsers that cannot draw in three dimensions: a few a second, on demand."""

import threading
import time
from collections.abc import Callable

import cv2

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import Image
from reachy_sim.rendering.robot_renderer import RobotRenderer
from reachy_sim.view.snapshots import Snapshot

_WIDTH, _HEIGHT = 640, 480
_INTEREST = 3.0
"""s for which one request keeps the pictures coming."""
_PAUSE = 0.05
"""s between looks for something to do; and at least half of the time the processor is left to the robot."""


def jpeg(image: Image) -> bytes:
    """A picture as a file."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    return encoded.tobytes()


class PictureStream:
    """Draws the latest moment in a thread of its own, as long as somebody looks.

    Args:
        latest: the moment to draw.
    """

    def __init__(self, latest: Callable[[], Snapshot]) -> None:
        self._latest = latest
        self._wanted_until = 0.0
        self._closing = threading.Event()
        self._drawn = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
        self._thread.start()
        self.picture: Image | None = None
        self.trouble = ""
        """Why there are no pictures."""

    def want(self) -> None:
        """Somebody looks."""
        self._wanted_until = time.monotonic() + _INTEREST

    def next_picture(self, timeout: float) -> Image | None:
        """The next one drawn, or after a while the last one; None without any."""
        self.want()
        with self._drawn:
            self._drawn.wait(timeout)
        return self.picture

    def close(self) -> None:
        """End the thread and free the context."""
        self._closing.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        renderer: RobotRenderer | None = None
        shown: Snapshot | None = None
        try:
            while not self._closing.wait(_PAUSE):
                moment = self._latest()
                if time.monotonic() > self._wanted_until or moment is shown:
                    continue
                began = time.monotonic()
                renderer = renderer or RobotRenderer(_WIDTH, _HEIGHT)
                picture = renderer.render(moment.state, moment.target)
                with self._drawn:
                    self.picture, shown = picture, moment
                    self._drawn.notify_all()
                self._closing.wait(time.monotonic() - began)
        except KitError as error:
            self.trouble = str(error)
        finally:
            if renderer:
                renderer.close()
