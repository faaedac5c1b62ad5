"""H.264 video of an episode's images: the same encoder and settings on the robot's computer and at home.

PyAV is loaded when a video is written or read, not before.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reachy_kit.runtime.interface import Image

CODEC = "h264"
PIXEL_FORMAT = "yuv420p"
OPTIONS = {"g": "2", "crf": "30", "preset": "ultrafast"}
"""Encoder options: LeRobot's for H.264 at its fastest preset, because its default AV1 takes many times longer.

Source: ``RGBEncoderConfig(vcodec="h264", preset="ultrafast").get_codec_options`` of LeRobot 0.6.1.
"""


def can_encode() -> bool:
    """Whether this computer has the encoder."""
    try:
        import av
    except ImportError:
        return False
    try:
        av.codec.Codec(CODEC, "w")
    except (av.FFmpegError, ValueError):  # UnknownCodecError is a ValueError
        return False
    return True


def write_video(images: Sequence[Image], path: Path, fps: int) -> None:
    """Encode images into an MP4 file.

    Args:
        images: (height, width, 3) each, RGB.
        path: the file.
        fps: frames per second.

    Raises:
        OSError: it cannot be written.
    """
    import av
    import av.logging

    av.logging.set_libav_level(av.logging.ERROR)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(CODEC, fps, options=OPTIONS)
        stream.pix_fmt = PIXEL_FORMAT
        stream.height, stream.width = images[0].shape[:2]
        for image in images:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())


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
