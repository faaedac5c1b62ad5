"""Films as files: MP4 for a page, and an animated WebP that shows itself where an image is expected.

Try it: reachy-kit demo, which writes its film as both
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from reachy_kit.runtime.interface import Image

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream


@dataclass(frozen=True)
class FilmFormat:
    """A container, a codec and their options, in FFmpeg's words."""

    container: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)


MP4 = FilmFormat("mp4", "libx264", {"crf": "23", "preset": "veryfast"})
"""Every browser plays it."""
WEBP = FilmFormat("webp", "libwebp_anim", {"quality": "65", "compression_level": "2"}, {"loop": "0"})
"""It plays by itself, again and again, in an ``img`` and on GitHub."""


class FilmEncoder:
    """Encodes a film in memory, frame by frame.

    Args:
        form: container and codec.
        fps: frames per second.
    """

    def __init__(self, form: FilmFormat, fps: float) -> None:
        self._form, self._fps = form, Fraction(fps).limit_denominator(1000)
        self._bytes = io.BytesIO()
        self._film: OutputContainer | None = None
        self._stream: VideoStream | None = None

    def add(self, frame: Image) -> None:
        """Append a frame.

        Args:
            frame: (height, width, 3) RGB; all frames have the same even height and width.
        """
        import av

        if self._film is None:
            self._open(*frame.shape[:2])
        self._encode(av.VideoFrame.from_ndarray(frame, format="rgb24"))

    def finish(self) -> bytes:
        """Return the whole film; nothing can be appended afterwards.

        Raises:
            ValueError: it has no frame.
        """
        if self._film is None:
            raise ValueError("a film needs at least one frame")
        self._encode(None)
        self._film.close()
        return self._bytes.getvalue()

    def _open(self, height: int, width: int) -> None:
        import av
        from av.video.stream import VideoStream

        form = self._form
        self._film = av.open(self._bytes, "w", format=form.container, options=form.container_options)
        stream = self._film.add_stream(form.codec, rate=self._fps, options=form.options)
        assert isinstance(stream, VideoStream), "both codecs are of images"
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        self._stream = stream

    def _encode(self, frame: "VideoFrame | None") -> None:
        """Encode a frame; None for what the encoder has held back."""
        assert self._film is not None and self._stream is not None
        self._film.mux(self._stream.encode(frame))


def encode_mp4(frames: Iterable[Image], fps: float) -> bytes:
    """Encode frames as an MP4.

    Args:
        frames: (height, width, 3) RGB each, of the same even height and width.
        fps: frames per second.
    """
    encoder = FilmEncoder(MP4, fps)
    for frame in frames:
        encoder.add(frame)
    return encoder.finish()
