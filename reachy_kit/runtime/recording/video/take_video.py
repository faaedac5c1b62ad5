"""The video of one take, encoded by a thread while the take lasts, so that its end need not wait for it."""

import contextlib
import shutil
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from reachy_kit.runtime.background_thread import lower_priority
from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import Image
from reachy_kit.runtime.recording.video.h264 import SOFTWARE, H264Encoder

_QUEUE_BYTES = 48 * 1024**2
"""Memory that images may take while they wait, bytes: about two seconds of 640 × 480 px at 30 Hz."""
_SHORTEST_QUEUE = 8
_THUMBNAIL, _LARGE = 150, 300
"""Size of the images from which LeRobot takes its statistics, and size from which on it shrinks them, px."""
_THUMBNAILS = 1024
"""Images kept for the statistics; in a longer take every second one, then every fourth, and so on."""


class _Signal(Enum):
    """What the thread receives besides images."""

    REPEAT = auto()
    """Encode the last image again."""
    END = auto()


@dataclass(frozen=True)
class TakeVideo:
    """The encoded video of a take."""

    path: Path
    frames: int
    """Number of frames: that of the take's images, dropped ones included."""
    dropped: int
    """Images for which the encoder had no time; the one before stands in their place."""
    thumbnails: list[Image]
    """Small images for statistics, in order."""


class VideoEncoder:
    """Encodes images as they come.

    Args:
        path: the file.
        shape: (height, width, 3) of the images.
        fps: frames per second.
        encoder: encodes.
        wait: whether a full queue holds up the loop, which only a simulated clock allows; otherwise an image is
            dropped, and counted.
        queue_bytes: memory that images may take while they wait.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        fps: int,
        encoder: H264Encoder = SOFTWARE,
        *,
        wait: bool = True,
        queue_bytes: int = _QUEUE_BYTES,
    ) -> None:
        self.path, self.dropped = path, 0
        self._shape, self._fps, self._encoder, self._wait = shape, fps, encoder, wait
        self._room = threading.Semaphore(max(_SHORTEST_QUEUE, queue_bytes // (shape[0] * shape[1] * shape[2])))
        self._queue: SimpleQueue[Image | _Signal] = SimpleQueue()
        self._last: Image | None = None
        self._kept: int | None = None
        self._error: Exception | None = None
        self._frames, self._ended, self._discarded = 0, False, False
        self._thumbnails, self._stride = list[Image](), 1
        self._thread = threading.Thread(target=self._run, name="video encoder", daemon=True)
        self._thread.start()

    def add(self, image: Image) -> bool:
        """Append an image; one that is the same object as the last costs nearly nothing.

        Returns:
            Whether there was room for it; otherwise the one before is repeated.

        Raises:
            KitError: the video cannot be written, as when the disk is full.
        """
        self._check()
        if image is self._last:
            self._queue.put(_Signal.REPEAT)
        elif self._room.acquire(blocking=self._wait):
            self._last = image
            self._queue.put(image)
        else:
            self.dropped += 1
            self._queue.put(_Signal.REPEAT)
            return False
        return True

    def finish(self, frames: int | None = None) -> TakeVideo:
        """Encode what is left; the file is then complete, but not yet flushed to disk.

        Args:
            frames: number of frames to keep, of which at most the last second is left out; None for all.

        Raises:
            KitError: the video cannot be written, as when the disk is full.
        """
        self._kept = frames
        self._queue.put(_Signal.END)
        self._thread.join()
        self._check()
        kept = self._frames if frames is None else frames
        return TakeVideo(self.path, kept, self.dropped, self._thumbnails[: -(-kept // self._stride)])

    def discard(self) -> None:
        """Stop, and remove the file; a second call does nothing."""
        self._discarded = True
        self._queue.put(_Signal.END)
        self._thread.join()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _check(self) -> None:
        if self._error:
            raise KitError(
                f"the video of this episode cannot be written to {self.path.parent} ({self._error}). The episode is "
                "not kept; those before it are. If the disk is full, make room, and give the same command again"
            ) from self._error

    def _run(self) -> None:
        if not self._wait:
            lower_priority()
        try:
            self._encode_all()
        except Exception as error:  # PyAV, the encoder and the disk each raise their own; the loop raises it
            self._error = error
            for item in self._items():
                if not isinstance(item, _Signal):
                    self._room.release()

    def _encode_all(self) -> None:
        import av
        import av.logging

        av.logging.set_libav_level(av.logging.ERROR)
        with av.open(str(self.path), "w") as output:
            packets: deque[Any] = deque()
            stream, frame = self._encoder.open_stream(output, self._shape, self._fps), av.VideoFrame()
            for item in self._items():
                if not isinstance(item, _Signal):
                    frame = av.VideoFrame.from_ndarray(item, format="rgb24").reformat(format=stream.pix_fmt)
                    thumbnail = _thumbnail(item)
                    self._room.release()
                if self._discarded:
                    continue
                frame.pts = self._frames
                packets.extend(stream.encode(frame))
                self._keep(thumbnail)
                self._frames += 1
                while len(packets) > self._fps:  # the last second may yet be left out
                    output.mux(packets.popleft())
            packets.extend(stream.encode())
            for packet in packets:
                if self._kept is None or packet.pts < self._kept:
                    output.mux(packet)

    def _items(self) -> Iterator[Image | _Signal]:
        """What was queued, up to the end of the take; after that, nothing."""
        while not self._ended:
            item = self._queue.get()
            self._ended = item is _Signal.END
            if not self._ended:
                yield item

    def _keep(self, thumbnail: Image) -> None:
        if self._frames % self._stride == 0:
            self._thumbnails.append(thumbnail)
        if len(self._thumbnails) > _THUMBNAILS:
            self._thumbnails, self._stride = self._thumbnails[::2], 2 * self._stride


def encode_images(images: Sequence[Image], path: Path, fps: int) -> TakeVideo:
    """Encode images that are all there.

    Args:
        images: (height, width, 3) each, RGB.
        path: the file, MP4.
        fps: frames per second.

    Raises:
        KitError: it cannot be written.
    """
    height, width, channels = images[0].shape
    encoder = VideoEncoder(path, (height, width, channels), fps)
    for image in images:
        encoder.add(image)
    return encoder.finish()


def copy_video(stored: Path, images: Sequence[Image], path: Path) -> TakeVideo:
    """Copy a video as that of a take.

    Args:
        stored: the video.
        images: those that it shows, for their statistics.
        path: the copy.

    Raises:
        OSError: it cannot be read, or the copy not written.
    """
    shutil.copyfile(stored, path)
    return TakeVideo(path, len(images), 0, [_thumbnail(image) for image in images])


def _thumbnail(image: Image) -> Image:
    """A copy of an image, shrunk as LeRobot's ``auto_downsample_height_width`` does."""
    longest = max(image.shape[:2])
    step = longest // _THUMBNAIL if longest >= _LARGE else 1
    return np.ascontiguousarray(image[::step, ::step])
