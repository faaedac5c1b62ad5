"""Videos against the metadata: each file is there, can be opened, and is as long as its episodes."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from reachy_kit.dataset.checks.finding import Aspect, Finding, register_check
from reachy_kit.dataset.dataset_index import DamagedFileError, EpisodeEntry
from reachy_kit.dataset.stored_dataset import StoredDataset


@register_check(Aspect.VIDEOS)
def check_video_files(dataset: StoredDataset) -> Iterator[Finding]:
    """Find videos that are missing, damaged or short."""
    files: dict[tuple[Path, str], list[EpisodeEntry]] = defaultdict(list)
    for entry in dataset.episodes:
        for camera, part in entry.videos.items():
            files[part.file, camera].append(entry)
    for (file, camera), entries in files.items():
        path, held = dataset.root / file, [entry.index for entry in entries]
        try:
            frames = _count_frames(path)
        except FileNotFoundError:
            yield str(DamagedFileError(path, "is missing", held))
            continue
        except PermissionError as error:
            yield f"{path} cannot be read: {error.strerror}. Look at its permissions"
            continue
        except OSError:
            yield str(DamagedFileError(path, "is damaged", held))
            continue
        ends = {entry.index: round(entry.videos[camera].begin * dataset.index.fps) + entry.length for entry in entries}
        cut = [index for index, end in ends.items() if end > frames]
        if cut:
            yield str(DamagedFileError(path, f"has {frames} of its {max(ends.values())} frames", cut))


def _count_frames(video: Path) -> int:
    """Frames that are in a video's file; its header may promise more."""
    import av

    try:
        with av.open(str(video)) as container:
            streams = container.streams.video
            packets = container.demux(streams[0]) if streams else ()
            count = sum(packet.size > 0 for packet in packets)
    except (FileNotFoundError, PermissionError):
        raise
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise OSError(str(error)) from error
    return count
