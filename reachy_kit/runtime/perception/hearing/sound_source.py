"""What a microphone is to the kit, and the buffer between its thread and ours."""

import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

type Block = npt.NDArray[np.float32]
"""(samples, channels) in [-1, 1]."""
type Receive = Callable[[Block], None]
"""Takes a block at the moment at which its last sample was captured, in the microphone's own thread."""

SILENT_AFTER = 0.5
"""Time without a block after which a microphone counts as lost, s; blocks come every 10 to 20 ms."""
_BUFFER_SECONDS = 2.0
_DRIFT_SHARE = 0.01
"""Share of a block's delay that moves the clock of the samples: ten seconds of late blocks move it by half of it."""
_JUMP = 0.1
"""Delay beyond which samples were lost and the clock starts again, s."""
_REMEMBERED_BLOCKS = 64


class SoundSource(Protocol):
    """A microphone: of this computer, or of the robot."""

    name: str
    sample_rate: int
    """Samples per second."""
    channels: int

    @property
    def spacing(self) -> float | None:
        """Distance between the first two channels' microphones, m; left is the first. None: they give no direction."""
        ...

    @property
    def turns_with_head(self) -> bool:
        """Whether it is part of the head. Another one stands beside the robot and faces as its base does."""
        ...

    def start(self, receive: Receive) -> None:
        """Open the microphone and call ``receive`` with each block.

        Raises:
            KitError: it cannot be opened.
        """
        ...

    def stop(self) -> None:
        """Close the microphone. Safe to call twice."""
        ...


@dataclass(frozen=True)
class Bearing:
    """A direction of arrival."""

    right: float
    """Right of the microphone's front, rad in [−π/2, π/2]."""
    time: float
    """Time of its sound, s on the monotonic clock."""


class DirectionSource(Protocol):
    """Something that measures directions by itself, such as the robot's array."""

    @property
    def latest(self) -> Bearing | None:
        """The last direction from which somebody spoke; None before the first."""
        ...

    def start(self) -> None:
        """Begin to measure."""
        ...

    def stop(self) -> None:
        """End it. Safe to call twice."""
        ...


class SampleBuffer:
    """The last two seconds of a microphone, written by its thread and read by ours; allocates nothing while it runs.

    Args:
        rate: samples per second.
        channels: of the microphone.
        clock: seconds; the time at which a block is written is the time of its last sample.
    """

    def __init__(self, rate: int, channels: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._samples: Block = np.zeros((round(_BUFFER_SECONDS * rate), channels), dtype=np.float32)
        self._lock = threading.Lock()
        self._written = self._read = 0
        self._captured = 0.0
        self._recent: deque[int] = deque(maxlen=_REMEMBERED_BLOCKS)
        self.dropped = 0
        """Samples that were overwritten before they were read."""
        self.last_write = clock()
        self._counted, self._counted_since = 0, self.last_write
        self.is_hurried = False
        """Whether samples come at more than twice their rate: those of a device whose driver has no clock any more."""
        self.repeated_for = 0.0
        """Time for which the source has sent old blocks again, s: that of a device whose driver has died."""

    def write(self, block: Block) -> None:
        """Add (n, channels) samples, the last of which was captured now."""
        count, size = len(block), len(self._samples)
        now = self._clock()
        with self._lock:
            self._captured = self._stamp(now, count)
            start = self._written % size
            first = min(count, size - start)
            self._samples[start : start + first] = block[:first]
            self._samples[: count - first] = block[first:]
            self._written += count
            self.last_write = now
        self._note_pace(now, count)
        self._note_repeats(block)

    def read(self) -> tuple[Block, float]:
        """All samples since the last call, (n, channels), and the time of the last one; the oldest may be lost."""
        with self._lock:
            size = len(self._samples)
            fresh = min(self._written - self._read, size)
            self.dropped += self._written - self._read - fresh
            self._read = self._written
            return self._samples[np.arange(self._written - fresh, self._written) % size], self._captured

    def _stamp(self, now: float, count: int) -> float:
        """Time of a block's last sample: threads are woken late, never early, so the clock follows the earliest."""
        expected = self._captured + count / self._rate
        late = now - expected
        if not self._written or abs(late) > _JUMP:
            return now
        return now if late < 0 else expected + _DRIFT_SHARE * late

    def _note_pace(self, now: float, count: int) -> None:
        self._counted += count
        since = now - self._counted_since
        if since >= SILENT_AFTER:
            self.is_hurried = self._counted > 2 * self._rate * since
            self._counted, self._counted_since = 0, now

    def _note_repeats(self, block: Block) -> None:
        mark = zlib.crc32(block.tobytes())
        if mark in self._recent and block.any():
            self.repeated_for += len(block) / self._rate
        else:
            self.repeated_for = 0.0
        self._recent.append(mark)
