"""Parts of videos: cut without encoding again where that is possible, else decoded and encoded."""

from pathlib import Path
from typing import Any

from reachy_kit.dataset.dataset_index import DamagedFileError
from reachy_kit.runtime.interface import Image
from reachy_kit.runtime.recording.video.take_video import encode_images


def cut_video(video: Path, begin: float, frames: int, fps: int, out: Path) -> list[Image] | None:
    """Write a part of a video into a file of its own.

    Args:
        video: the whole.
        begin: time of the part's first frame, s.
        frames: number of its frames.
        fps: frames per second.
        out: file to write.

    Returns:
        The images of the part, (height, width, 3) RGB each, if they had to be encoded again; None if not.

    Raises:
        DamagedFileError: the video is missing, damaged or short.
    """
    import av
    import av.logging

    av.logging.set_libav_level(av.logging.ERROR)
    try:
        if _copy_packets(video, begin, frames, fps, out):
            return None
        images = read_part(video, begin, frames, fps)
    except FileNotFoundError as error:
        raise DamagedFileError(video, "is missing") from error
    except (av.FFmpegError, ValueError) as error:
        raise DamagedFileError(video, "is damaged") from error
    if len(images) < frames:
        raise DamagedFileError(video, f"has {len(images)} of {frames} frames from {begin:.2f} s on")
    encode_images(images, out, fps)
    return images


def read_part(video: Path, begin: float, frames: int, fps: int) -> list[Image]:
    """Decode a part of a video; arguments as in ``cut_video``."""
    import av

    images: list[Image] = []
    with av.open(str(video)) as container:
        stream: Any = container.streams.video[0]
        container.seek(max(0, int((begin - 0.5 / fps) / stream.time_base)), stream=stream)
        for image in container.decode(stream):
            decoded: Any = image
            if decoded.time >= begin - 0.5 / fps:
                images.append(decoded.to_ndarray(format="rgb24"))
            if len(images) == frames:
                break
    return images


def _copy_packets(video: Path, begin: float, frames: int, fps: int, out: Path) -> bool:
    """Copy the packets of a part; False if it does not begin with a key frame, or is not whole by itself."""
    import av

    with av.open(str(video)) as container:
        stream: Any = container.streams.video[0]
        first, end = begin - 0.5 / fps, begin + (frames - 0.5) / fps
        container.seek(max(0, int(first / stream.time_base)), stream=stream)
        packets: list[Any] = []
        between = False
        for packet in container.demux(stream):
            if packet.pts is None:
                continue
            time = float(packet.pts * stream.time_base)
            if first <= time < end:
                if between:  # what was left out may be what this one is predicted from
                    return False
                packets.append(packet)
            elif time >= end + 1.0:
                break
            else:
                between = bool(packets)
        if len(packets) != frames or not packets[0].is_keyframe:
            return False
        offset = min(packet.pts for packet in packets)
        with av.open(str(out), "w", options={"movflags": "faststart"}) as output:
            target = output.add_stream_from_template(stream, opaque=True)
            target.time_base = stream.time_base
            for packet in packets:
                packet.pts, packet.dts, packet.stream = packet.pts - offset, packet.dts - offset, target
                output.mux(packet)
    return True
