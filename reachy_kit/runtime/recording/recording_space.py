"""Room for a recording on the disk and in memory, checked before it starts."""

import shutil
from pathlib import Path

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.recording.layout import DatasetLayout

_MB = 1e6
_TIGHT = 10
"""Minutes of recording below which people are warned."""
_FRAME_BYTES, _FRAME_OBJECTS = 400, 4_000
"""A frame without its image: on the disk and in memory until the take ends, bytes. Measured: 230 and 2,900."""
_PIXEL_BYTES = 0.06
"""H.264 of a camera that sees noise and motion, bytes per pixel; a rendered image takes a tenth of it."""
_BUFFERS = 110 * _MB
"""Most memory of the images that wait for the encoder, and of those kept for statistics, bytes."""
_SAMPLE_BYTES = 2


def disk_per_minute(layout: DatasetLayout) -> float:
    """Estimate of what a minute of recording takes on the disk, bytes."""
    height, width = layout.image_shape[:2] if layout.image_shape else (0, 0)
    frame = _FRAME_BYTES + _PIXEL_BYTES * height * width + _SAMPLE_BYTES * layout.audio_samples
    return 60 * layout.policy_hz * frame


def memory_per_minute(layout: DatasetLayout) -> float:
    """Estimate of what a minute of one take holds in memory, bytes."""
    return 60 * layout.policy_hz * (_FRAME_OBJECTS + _SAMPLE_BYTES * layout.audio_samples)


def check_space(
    folder: Path, layout: DatasetLayout, *, free: int | None = None, memory: int | None = None
) -> str | None:
    """Refuse a recording for which there is clearly too little room.

    Args:
        folder: of the recording, or where it will be.
        layout: what is recorded.
        free: bytes on the disk; None asks the system.
        memory: bytes of memory that programs may still take; None asks the system.

    Returns:
        A warning in one line; None where there is plenty of both.

    Raises:
        RefusedError: less than a minute fits.
    """
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(existing).free if free is None else free
    memory = _available_memory() if memory is None else memory
    minute, held = disk_per_minute(layout), memory_per_minute(layout)
    buffers = _BUFFERS if layout.image_shape else 0.0
    if free < minute:
        raise RefusedError(
            f"{folder}: its disk has {_text(free)} left, and a minute of this recording takes about {_text(minute)}. "
            "Make room, or choose another --out"
        )
    if memory is not None and memory < buffers + held:
        raise RefusedError(
            f"this computer has {_text(memory)} of memory left, and a minute of this recording takes about "
            f"{_text(buffers + held)}. Close other programs, or record without --camera"
        )
    if free < _TIGHT * minute:
        return f"the disk of {folder} has room for about {free / minute:.0f} minutes of this recording"
    if memory is not None and memory < buffers + _TIGHT * held:
        return f"this computer has memory for a take of about {(memory - buffers) / held:.0f} minutes"
    return None


def _text(size: float) -> str:
    return f"{size / _MB:,.1f} MB"


def _available_memory() -> int | None:
    """Bytes of memory that programs may still take, as Linux estimates them; None elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
