"""Images of the robot rendered by the server, for browsers without WebGL: a few per second, on request."""

import threading
import time
from collections.abc import Callable

import cv2

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import Image
from reachy_sim.rendering.robot_renderer import RobotRenderer
from reachy_sim.view.snapshots import Snapshot

_WIDTH, _HEIGHT = 640, 480
_REQUEST_SECONDS = 3.0
"""Time for which images are rendered after a request, s."""
_PAUSE = 0.05
"""Time between checks for a new snapshot, s. At least half of the time is left to the robot's own work."""


def jpeg(image: Image) -> bytes:
    """Encode an image as JPEG."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    return encoded.tobytes()


class RobotStream:
    """Draws the latest snapshot in a thread of its own, as long as images are requested.

    Args:
        latest: returns the snapshot to draw.
    """

    def __init__(self, latest: Callable[[], Snapshot]) -> None:
        self._latest = latest
        self._requested_until = 0.0
        self._closing = threading.Event()
        self._drawn = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="robot stream", daemon=True)
        self._thread.start()
        self.image: Image | None = None
        self.trouble = ""
        """Error message if there are no images."""

    def request(self) -> None:
        """Request images for the next ``_REQUEST_SECONDS``."""
        self._requested_until = time.monotonic() + _REQUEST_SECONDS

    def next_image(self, timeout: float) -> Image | None:
        """Wait for the next image; after a timeout in s return the last one, or None without any."""
        self.request()
        with self._drawn:
            self._drawn.wait(timeout)
        return self.image

    def close(self) -> None:
        """End the thread and free the renderer."""
        self._closing.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        renderer: RobotRenderer | None = None
        shown: Snapshot | None = None
        try:
            while not self._closing.wait(_PAUSE):
                snapshot = self._latest()
                if time.monotonic() > self._requested_until or snapshot is shown:
                    continue
                began = time.monotonic()
                renderer = renderer or RobotRenderer(_WIDTH, _HEIGHT)
                image = renderer.render(snapshot.state, snapshot.target)
                with self._drawn:
                    self.image, shown = image, snapshot
                    self._drawn.notify_all()
                self._closing.wait(time.monotonic() - began)
        except KitError as error:
            self.trouble = str(error)
        finally:
            if renderer:
                renderer.close()
