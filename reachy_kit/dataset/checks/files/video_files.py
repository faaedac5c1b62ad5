"""RK102. Videos against the metadata: each file is there, can be opened, and is as long as its episodes.

Nothing is decoded. The container's header says how many frames a video has; its last ones are read to see that they are
there, for a file that was cut may still promise them.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reachy_kit.dataset.checks.finding import Aspect, Finding, register_file_check
from reachy_kit.dataset.checks.remedies import drop_command
from reachy_kit.dataset.dataset_index import DamagedFileError, EpisodeEntry
from reachy_kit.dataset.stored_dataset import StoredDataset


@register_file_check("RK102", "damaged or short videos", Aspect.VIDEOS, refuses=True)
def check_video_files(dataset: StoredDataset) -> Iterator[Finding]:
    """Find videos that are missing, damaged or short."""
    files: dict[tuple[Path, str], list[EpisodeEntry]] = defaultdict(list)
    for entry in dataset.episodes:
        for camera, part in entry.videos.items():
            files[part.file, camera].append(entry)
    for (file, camera), entries in files.items():
        path, held = dataset.root / file, [entry.index for entry in entries]
        try:
            frames = count_frames(path)
        except FileNotFoundError:
            yield _finding(dataset, DamagedFileError(path, "is missing", held), held)
            continue
        except PermissionError as error:
            yield Finding(
                f"{path} cannot be read: {error.strerror}", remedy="Look at its permissions", episodes=tuple(held)
            )
            continue
        except OSError:
            yield _finding(dataset, DamagedFileError(path, "is damaged", held), held)
            continue
        ends = {entry.index: round(entry.videos[camera].begin * dataset.index.fps) + entry.length for entry in entries}
        cut = [index for index, end in ends.items() if end > frames]
        if cut:
            short = DamagedFileError(path, f"has {frames} of its {max(ends.values())} frames", cut)
            yield _finding(dataset, short, cut)


def _finding(dataset: StoredDataset, error: DamagedFileError, episodes: list[int]) -> Finding:
    """A missing tail cannot be mended: what is left is to copy the file again, or to drop the episodes."""
    command = ""
    if len(episodes) < len(dataset.episodes):
        command = drop_command(dataset.root, episodes)
    remedy = error.remedy + (", or drop the episodes" if command else "")
    return Finding(error.what, remedy=remedy, command=command, episodes=tuple(episodes))


def count_frames(video: Path) -> int:
    """Frames that are in a video's file.

    Raises:
        OSError: it cannot be opened, or is not a video.
    """
    import av

    try:
        with av.open(str(video)) as container:
            streams = container.streams.video
            if not streams:
                raise OSError(f"{video} holds no video")
            promised = streams[0].frames
            if promised and _holds_its_end(container, streams[0]):
                return promised
        with av.open(str(video)) as container:
            count = sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))
    except (FileNotFoundError, PermissionError):
        raise
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise OSError(str(error)) from error
    return count


def _holds_its_end(container: Any, stream: Any) -> bool:
    """Whether the packets from the last key frame on are there and reach the length that the header promises."""
    import av

    if not stream.duration:
        return False
    start = stream.start_time or 0
    try:
        container.seek(start + stream.duration, stream=stream, backward=True)
        ends = [packet.pts + (packet.duration or 0) for packet in container.demux(stream) if packet.size]
    except av.FFmpegError:
        return False
    return bool(ends) and max(ends) >= start + stream.duration
