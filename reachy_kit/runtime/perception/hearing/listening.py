"""Hearing: a microphone's stream, analysed in a thread beside the loop, joined to observations.

Try it: reachy-kit run dance.bundle --robot daemon --microphone default
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import KitError, MissingPackageError
from reachy_kit.runtime.interface import AUDIO_HZ, YAW, Array, Observation
from reachy_kit.runtime.perception.hearing.sound_analyser import Heard, SoundAnalyser
from reachy_kit.runtime.perception.hearing.sound_source import (
    SILENT_AFTER,
    Bearing,
    Block,
    DirectionSource,
    SampleBuffer,
    SoundSource,
)
from reachy_kit.runtime.perception.sound import HEARING_FEATURES, MAX_SOUND_AGE

if TYPE_CHECKING:
    import soxr

_FIRST_SOUND = 3.0
"""Longest wait for a microphone's first block, s."""
_RECENT = 0.25
"""Age up to which a direction belongs to the speech that is heard now, s: two of DIRECTION_PERIOD and a transfer."""
_KEPT = 2.0
"""Raw sound that is kept until it is taken, s."""
_POSES = 100
_CLIPPED, _TOO_MUCH = 0.99, 0.001
"""Amplitude, in parts of full scale, that counts as clipped, and the share of such samples that is reported."""


class Hearing:
    """What a microphone hears, for as long as the block lasts.

    Args:
        source: the microphone.
        directions: measures directions in place of the source's two channels.
        raw: whether observations hold the sound itself.
        clock: seconds, of the microphone's times.

    Raises:
        MissingPackageError: a package that hearing needs is not installed.
    """

    def __init__(
        self,
        source: SoundSource,
        directions: DirectionSource | None = None,
        *,
        raw: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source, self._directions, self._clock = source, directions, clock
        self._buffer = SampleBuffer(source.sample_rate, source.channels, clock)
        self._analyser = SoundAnalyser(source.channels, None if directions else source.spacing)
        self._resampler = _resampler(source)
        self.heard: Heard | None = None
        """What was heard last; None before the first sound."""
        self._raw: deque[Block] | None = deque() if raw else None
        self._raw_time = 0.0
        self._error: str | None = None
        self._fresh, self._stopped = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._samples = self._clipped = self._equal = self._silent = 0
        self._poses: deque[tuple[float, float]] = deque(maxlen=_POSES)
        self.forget()

    @property
    def gives_directions(self) -> bool:
        """Whether it can tell where a sound comes from."""
        return self._directions is not None or (self.source.spacing is not None and self.source.channels > 1)

    def __enter__(self) -> "Hearing":
        """Open the microphone, and wait until it sends sound.

        Raises:
            KitError: it cannot be opened, or sends nothing.
        """
        try:
            self.source.start(self._receive)
            self._thread.start()
            if self._directions:
                self._directions.start()
            self._wait_for_sound()
        except BaseException:  # Ctrl-C too
            self.__exit__()
            raise
        return self

    def _wait_for_sound(self) -> None:
        deadline = self._clock() + _FIRST_SOUND
        while self.heard is None:
            if self._error:
                raise KitError(self._error)
            if self._clock() > deadline:
                raise KitError(f"the microphone {self.source.name} sends no sound. Is it plugged in?")
            self._fresh.wait(0.05)

    def __exit__(self, *exception: object) -> None:
        """Close the microphone."""
        self._stopped.set()
        self.source.stop()
        if self._directions:
            self._directions.stop()
        self._fresh.set()
        if self._thread.is_alive():
            self._thread.join()

    def forget(self) -> None:
        """Begin an episode in which nothing has been heard yet; a beat is still tracked."""
        self._last_sound: Array = np.zeros(2)
        self._last_beat: Array = np.zeros(3)
        self._last_sound_time = self._last_beat_time = -np.inf
        self._poses.clear()

    def add_to(self, observation: Observation, now: float) -> Observation:
        """The observation with what is heard.

        Args:
            observation: of the robot.
            now: this instant on the robot's clock, s.

        Raises:
            KitError: the microphone has stopped.
        """
        if lost := self.lost:
            raise KitError(lost)
        heard = self.heard
        assert heard is not None, "enter the block first"
        robot_minus_microphone = now - self._clock()
        self._poses.append((observation.capture_time - robot_minus_microphone, float(observation.state[YAW])))
        features = self._features(heard, observation.capture_time - robot_minus_microphone)
        audio, audio_time = self._take_raw()
        if audio is None:
            return replace(observation, sound=features)
        return replace(observation, sound=features, audio=audio, audio_time=audio_time + robot_minus_microphone)

    @property
    def age(self) -> float:
        """Time since the microphone's latest sound arrived, s."""
        return self._clock() - self._buffer.last_write

    @property
    def lost(self) -> str | None:
        """Why nothing can be heard any more; None while it can."""
        if self._error:
            return self._error
        if self.age > SILENT_AFTER:
            return f"the microphone {self.source.name} has stopped sending sound: look at its plug"
        if self._buffer.repeated_for > SILENT_AFTER:
            return f"the microphone {self.source.name} repeats the same sound: its driver has stopped. Plug it in again"
        if self._buffer.is_hurried:
            return f"the microphone {self.source.name} sends more than it can hear: its driver has stopped"
        return None

    @property
    def complaints(self) -> tuple[str, ...]:
        """What made the sound worse than it need be, in one line each."""
        name, said = self.source.name, []
        if self._samples and self._clipped > _TOO_MUCH * self._samples:
            said.append(f"the microphone {name} is too loud and clips: turn its level down")
        if self._samples and self._silent == self._samples:
            said.append(f"the microphone {name} sends silence alone: is it muted?")
        elif self._samples and self.source.channels > 1 and self._equal == self._samples and not self._directions:
            said.append(f"both channels of the microphone {name} are the same, so they give no direction")
        if self._buffer.dropped:
            said.append(
                f"{self._buffer.dropped / self.source.sample_rate:.1f} s of sound were lost: this computer is busy"
            )
        return tuple(said)

    def _receive(self, block: Block) -> None:
        self._buffer.write(block)
        self._fresh.set()

    def _listen(self) -> None:
        try:
            self._analyse()
        except Exception as error:  # of any kind: the loop reports it, where a thread's traceback would be lost
            self._error = f"the sound of the microphone {self.source.name} cannot be analysed: {error!r}"

    def _analyse(self) -> None:
        while not self._stopped.is_set():
            self._fresh.wait(0.1)
            self._fresh.clear()
            samples, captured = self._buffer.read()
            if len(samples):
                self._note_faults(samples)
                if self._resampler:
                    samples = self._resampler.resample_chunk(samples)
                self.heard = self._analyser.update(samples, captured)
                self._keep_raw(samples, captured)

    def _note_faults(self, samples: Block) -> None:
        self._samples += len(samples)
        self._clipped += int((np.abs(samples).max(axis=1) >= _CLIPPED).sum())
        self._silent += int((~samples.any(axis=1)).sum())
        if samples.shape[1] > 1:
            self._equal += int((samples[:, 0] == samples[:, 1]).sum())

    def _keep_raw(self, samples: Block, captured: float) -> None:
        if self._raw is None:
            return
        with self._lock:
            self._raw.append(samples.mean(axis=1))
            self._raw_time = captured
            while sum(map(len, self._raw)) > _KEPT * AUDIO_HZ:
                self._raw.popleft()

    def _take_raw(self) -> tuple[npt.NDArray[np.float32] | None, float]:
        if self._raw is None:
            return None, 0.0
        with self._lock:
            blocks = list(self._raw)
            self._raw.clear()
            return np.concatenate([np.zeros(0, dtype=np.float32), *blocks]), self._raw_time

    def _features(self, heard: Heard, now: float) -> Array:
        """(K,) in the order of ``HEARING_FEATURES`` at ``now``, s on the microphone's clock."""
        bearing = self._directions.latest if self._directions else heard.bearing
        if self.gives_directions:
            is_heard = bearing is not None and heard.time - bearing.time < _RECENT
            sound_time = bearing.time if bearing else -np.inf
        else:
            is_heard, sound_time = heard.speaking, heard.time
        if is_heard:
            self._last_sound = np.array([self._of_head(bearing) if bearing else 0.0, heard.level])
            self._last_sound_time = sound_time
        if heard.beat:
            phase = heard.beat.phase
            self._last_beat = np.array([np.sin(phase), np.cos(phase), heard.beat.tempo])
            self._last_beat_time = heard.time
        sound_age, beat_age = (
            min(max(now - then, 0.0), MAX_SOUND_AGE) for then in (self._last_sound_time, self._last_beat_time)
        )
        features = np.array(
            [*self._last_sound, is_heard, sound_age, *self._last_beat, heard.beat is not None, beat_age,
             heard.voice, heard.onset]
        )  # fmt: skip
        assert len(features) == len(HEARING_FEATURES)
        return features

    def _of_head(self, bearing: Bearing) -> float:
        """Bearing right of the head, as an array in the head measures it: behind is folded to the front."""
        if self.source.turns_with_head or self._directions:
            return bearing.right
        times, yaws = np.array(self._poses).T
        right = bearing.right + float(np.interp(bearing.time, times, yaws))
        return float(np.arcsin(np.sin(right)))


def _resampler(source: SoundSource) -> "soxr.ResampleStream | None":
    """Resampler to ``AUDIO_HZ``; None where the source has that rate."""
    if source.sample_rate == AUDIO_HZ:
        return None
    try:
        import soxr
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"the microphone {source.name} samples at {source.sample_rate} Hz, and soxr, which converts that, "
            "is not installed here", "teleop",
        ) from error  # fmt: skip
    return soxr.ResampleStream(source.sample_rate, AUDIO_HZ, source.channels, dtype="float32", quality="MQ")
