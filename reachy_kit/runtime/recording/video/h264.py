"""H.264: an encoder in hardware where this computer has one, else libx264 at its fastest preset; and reading.

PyAV lists encoders whose hardware is missing, so each is tried on a few frames. LeRobot's default, AV1, takes many
times longer. Every other frame is a key frame, as in LeRobot's own videos, because training reads frames in any order.
"""

import io
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reachy_kit.runtime.interface import Image

if TYPE_CHECKING:
    import av

HARDWARE = ("h264_videotoolbox", "h264_nvenc", "h264_vaapi", "h264_v4l2m2m")
"""Encoders in hardware, in the order in which they are tried: a Mac's, two of graphics cards, a Raspberry Pi's."""
_KEY_FRAME_EVERY = 2
_BITS_PER_PIXEL = 0.2
"""Bit rate of an encoder in hardware, which has no constant quality, per pixel and frame."""
_TRIAL_FRAMES = 4


@dataclass(frozen=True)
class H264Encoder:
    """An encoder and its settings."""

    codec: str
    """FFmpeg's name of it."""
    options: dict[str, str] = field(default_factory=dict)

    @property
    def in_hardware(self) -> bool:
        """Whether it is one in hardware."""
        return self != SOFTWARE

    def open_stream(self, output: "av.container.OutputContainer", shape: tuple[int, ...], fps: int) -> Any:
        """Add a stream to a file.

        Args:
            output: the file.
            shape: (height, width, 3) of the images.
            fps: frames per second.
        """
        stream: Any = output.add_stream(self.codec, fps, options=dict(self.options))
        stream.height, stream.width = shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        if self.in_hardware:
            stream.bit_rate = round(_BITS_PER_PIXEL * shape[0] * shape[1] * fps)
            stream.gop_size, stream.max_b_frames = _KEY_FRAME_EVERY, 0
        return stream


SOFTWARE = H264Encoder("libx264", {"g": str(_KEY_FRAME_EVERY), "crf": "30", "preset": "ultrafast"})
"""The encoder that every computer has; the settings are those of LeRobot's ``RGBEncoderConfig`` for this preset."""


def can_encode() -> bool:
    """Whether this computer has the encoder."""
    try:
        import av
    except ImportError:
        return False
    try:
        av.codec.Codec(SOFTWARE.codec, "w")
    except (av.FFmpegError, ValueError):  # UnknownCodecError is a ValueError
        return False
    return True


@cache
def fastest_encoder(shape: tuple[int, ...], fps: int, candidates: tuple[str, ...] = HARDWARE) -> H264Encoder:
    """The encoder that leaves the control loop most of the processor.

    Args:
        shape: (height, width, 3) of the images.
        fps: frames per second.
        candidates: encoders in hardware, by FFmpeg's names, the best first.
    """
    working = (H264Encoder(codec) for codec in candidates if _works(H264Encoder(codec), shape, fps))
    return next(working, SOFTWARE)


def read_video(path: Path) -> list[Image]:
    """The images of an MP4 file, RGB.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    import av

    try:
        with av.open(str(path)) as video:
            decoded: Any = [image.to_ndarray(format="rgb24") for image in video.decode(video=0)]
    except av.FFmpegError as error:
        raise ValueError(f"{path.name}: {error.strerror}") from error
    images: list[Image] = decoded
    return images


def _works(encoder: H264Encoder, shape: tuple[int, ...], fps: int) -> bool:
    """Whether an encoder gives as many frames as it gets, at this size."""
    import av
    import av.logging

    av.logging.set_libav_level(av.logging.PANIC)
    file = io.BytesIO()
    try:
        with av.open(file, "w", format="mp4") as output:
            stream = encoder.open_stream(output, shape, fps)
            for index in range(_TRIAL_FRAMES):
                image = av.VideoFrame.from_ndarray(np.zeros(shape, dtype=np.uint8), format="rgb24")
                image.pts = index
                output.mux(stream.encode(image))
            output.mux(stream.encode())
        file.seek(0)
        with av.open(file, "r") as video:
            decoded = len(list(video.decode(video=0)))
    except (OSError, ValueError, LookupError, RuntimeError):  # each encoder fails in a way of its own
        return False
    return decoded == _TRIAL_FRAMES
