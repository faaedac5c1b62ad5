"""A camera without hardware: frames into the Unix socket from which the SDK reads, from a process of its own.

Each frame shows a green ball whose column follows from the time at which the frame was drawn, so that what finds the
ball knows how old the frame is. SIGUSR1 stops the frames, and the socket stays: a camera that hangs.

Run: python tests/media/camera_sender.py 1920 1080 --hz 30
"""

import argparse
import math
import os
import signal
import sys
import time

import cv2
import numpy as np

SOCKET = "/tmp/reachymini_camera_socket"
"""Source: CAMERA_SOCKET_PATH in reachy_mini.daemon.utils (1.13)."""
SWEEP = 2.0
"""Time in which the ball crosses the image, s; then it starts again on the left."""
_MARGIN = 0.1
"""Part of the width that the ball keeps from each side."""
WALL, GREEN = (235, 230, 220), (26, 191, 38)
"""Colours of the frames, RGB."""


def ball_column(moment: float, width: int) -> float:
    """Column of the ball, px, in a frame that was drawn at a time, s on the monotonic clock."""
    return width * (_MARGIN + (1 - 2 * _MARGIN) * math.modf(moment / SWEEP)[0])


def drawn_at(column: float, width: int, now: float) -> float:
    """Time at which the frame with the ball in a column was drawn, s; less than a sweep before ``now``."""
    phase = (column / width - _MARGIN) / (1 - 2 * _MARGIN)
    return now - (math.modf(now / SWEEP)[0] - phase) % 1.0 * SWEEP


class FrameSink:
    """The socket, as the daemon's own media server makes it: BGR frames in shared memory.

    Args:
        width: of the frames, px.
        height: of the frames, px.
        hz: frames per second.
    """

    def __init__(self, width: int, height: int, hz: int) -> None:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstApp", "1.0")
        from gi.repository import Gst, GstApp  # noqa: F401  (GstApp gives appsrc its methods)

        Gst.init(None)
        size = f"width={width},height={height},framerate={hz}/1"
        if os.path.exists(SOCKET):  # noqa: PTH110
            os.unlink(SOCKET)  # noqa: PTH108
        self._gst = Gst
        # A change of format makes videoconvert allocate, in the memory that unixfdsink proposes; see media_server.py.
        self._pipeline = Gst.parse_launch(
            f"appsrc name=frames is-live=true do-timestamp=true format=time caps=video/x-raw,format=RGB,{size} "
            f"max-buffers=2 leaky-type=downstream ! identity drop-allocation=true ! videoconvert ! "
            f"video/x-raw,format=BGR,{size} ! unixfdsink sync=false socket-path={SOCKET}"
        )
        self._frames = self._pipeline.get_by_name("frames")
        self._pipeline.set_state(Gst.State.PLAYING)

    def send(self, image: np.ndarray) -> None:
        """Send an (H, W, 3) RGB frame."""
        self._frames.push_buffer(self._gst.Buffer.new_wrapped(image.tobytes()))


def main() -> None:
    """Send a moving ball until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("width", type=int)
    parser.add_argument("height", type=int)
    parser.add_argument("--hz", type=int, default=30, help="0: a camera that never starts")
    options = parser.parse_args()
    sends, hz = options.hz > 0, options.hz or 30

    def stop_sending(*_: object) -> None:
        nonlocal sends
        sends = False

    signal.signal(signal.SIGUSR1, stop_sending)
    sink = FrameSink(options.width, options.height, hz)
    image = np.full((options.height, options.width, 3), WALL, dtype=np.uint8)
    row, radius = options.height // 2, options.width // 32
    print("ready", flush=True)
    due = time.monotonic()
    while True:
        if sends:
            column = ball_column(time.monotonic(), options.width)
            cv2.circle(image, (round(column * 16), row * 16), radius * 16, GREEN, -1, shift=4)
            sink.send(image)
            image[row - radius - 2 : row + radius + 3] = WALL
        due = max(due + 1 / hz, time.monotonic() - 0.1)
        time.sleep(max(due - time.monotonic(), 0.0))


if __name__ == "__main__":
    sys.exit(main())
