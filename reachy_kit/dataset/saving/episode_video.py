"""Videos of a dataset: LeRobot's description of them, statistics of their images, and the joining of videos.

LeRobot's ``concatenate_video_files`` cannot read a path with an apostrophe.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.runtime.interface import Image


def rgb_encoder() -> Any:
    """LeRobot's description of how the videos are encoded."""
    from lerobot.configs import RGBEncoderConfig

    return RGBEncoderConfig(vcodec="h264", preset="ultrafast")


def image_stats(images: Sequence[Image]) -> dict[str, Any]:
    """Statistics of an episode's images: those that LeRobot's ``compute_episode_stats`` takes from image files."""
    from lerobot.datasets.compute_stats import auto_downsample_height_width, get_feature_stats, sample_indices

    chosen = [images[index].transpose(2, 0, 1) for index in sample_indices(len(images))]
    pixels = np.stack([auto_downsample_height_width(image) for image in chosen])
    stats = get_feature_stats(pixels, axis=(0, 2, 3), keepdims=True)
    return {name: value if name == "count" else np.squeeze(value / 255.0, axis=0) for name, value in stats.items()}


def video_kind(path: Path) -> tuple[Any, ...]:
    """Properties that videos must share to be joined."""
    import av

    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        codec = stream.codec_context
        form = codec.name, codec.width, codec.height, codec.pix_fmt, codec.extradata
        kind = *form, stream.time_base, stream.average_rate
    return kind


def join_videos(paths: Sequence[Path], joined: Path) -> list[float]:
    """Join videos of one kind, one after the other.

    Args:
        paths: the videos.
        joined: file to write.

    Returns:
        Time at which each begins in the joined one, s.
    """
    import av
    import av.logging

    av.logging.set_libav_level(av.logging.ERROR)
    starts, offset, target = [], 0, None
    with av.open(str(joined), "w", options={"movflags": "faststart"}) as output:
        for path in paths:
            with av.open(str(path)) as video:
                stream: Any = video.streams.video[0]  # PyAV's types leave open whether a file says its length; MP4 does
                if target is None:
                    target = output.add_stream_from_template(stream, opaque=True)
                    target.time_base = stream.time_base
                starts.append(float(offset * stream.time_base))
                packet: Any
                for packet in video.demux(stream):
                    if packet.dts is not None:  # the last one is empty
                        packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, target
                        output.mux(packet)
                offset += stream.duration
    return starts
