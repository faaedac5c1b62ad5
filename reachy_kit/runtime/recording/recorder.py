"""The recorder: a rollout's subscriber that hands each whole episode to a sink, which makes it durable."""

from collections.abc import Callable
from typing import Protocol

from reachy_kit.runtime.interface import EndReason, Episode, Step
from reachy_kit.runtime.interrupts import interrupts_held_back
from reachy_kit.runtime.recording.audio_samples import AudioSamples
from reachy_kit.runtime.recording.labels import EpisodeLabels, label_frames
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.measured_actions import measured_actions
from reachy_kit.runtime.recording.schema import AUDIO, Frame, frame
from reachy_kit.runtime.recording.take_faults import TakeFaults
from reachy_kit.runtime.robots.loop_rate import REFUSED, is_late


class EpisodeSink(Protocol):
    """Where episodes are stored: a LeRobot dataset, or files on the robot's own computer."""

    layout: DatasetLayout

    @property
    def episodes(self) -> int:
        """Episodes safely on disk."""
        ...

    def write(self, frames: list[Frame], labels: EpisodeLabels) -> None:
        """Store an episode completely or not at all.

        Args:
            frames: of the episode, all columns.
            labels: of the episode.

        Raises:
            KitError: the disk is full or cannot be written; the episodes before are kept.
        """
        ...


class EpisodeRecorder:
    """A rollout's subscriber that stores each completed episode.

    One that is discarded or aborted leaves no trace, nor does one that was so late that its timestamps are wrong.

    Args:
        sink: stores the episodes.
        labels: of the episodes; without any, the layout's instruction. They may be replaced until an episode ends.
        intervened: whether a person, not the policy, drives at this moment.
    """

    def __init__(
        self,
        sink: EpisodeSink,
        labels: EpisodeLabels | None = None,
        intervened: Callable[[], bool] = lambda: False,
    ) -> None:
        self._sink = sink
        self.labels = labels or EpisodeLabels(sink.layout.instruction)
        self.motion_delay: float | None = None
        """Time by which the motion of a guided robot lags behind its commands, s: the measured motion is then stored
        as the actions. None where the applied actions are."""
        self._intervened = intervened
        self._faults = TakeFaults(sink.layout.image_shape)
        self.on_episode_start(0)

    @property
    def episodes(self) -> int:
        """Episodes safely on disk."""
        return self._sink.episodes

    def on_episode_start(self, seed: int) -> None:
        """Begin with an empty buffer."""
        self._seed, self._world = seed, False
        self._frames: list[Frame] = []
        self._start = 0.0
        self._faults.reset()
        self._audio = AudioSamples()

    def on_step(self, step: Step) -> None:
        """Keep the step in memory.

        Raises:
            KitError: a clock, a camera or a microphone spoils the take.
        """
        layout, observation = self._sink.layout, step.observation
        self._faults.check(observation)
        if not self._frames:
            self._start, self._world = observation.capture_time, step.truth is not None
        columns = frame(
            step,
            self._seed,
            start=self._start,
            intervened=self._intervened(),
            image=layout.image_shape is not None,
            sound=bool(layout.sound),
        )
        if layout.audio_samples:
            self._audio.append(observation)
        self._frames.append(columns)

    def on_episode_end(self, episode: Episode) -> None:
        """Store a completed episode that kept the rate; Ctrl-C waits until it is whole. Any other leaves no trace.

        Raises:
            KitError: the disk is full or cannot be written; the episodes before are kept.
        """
        if episode.end_reason is not EndReason.COMPLETED or not self._frames or is_late(episode, REFUSED):
            return
        if samples := self._sink.layout.audio_samples:
            for columns, piece in zip(self._frames, self._audio.pieces(len(self._frames), samples), strict=True):
                columns[AUDIO] = piece
        if self.motion_delay is not None:
            self._frames = measured_actions(self._frames, self.motion_delay, 1 / self._sink.layout.policy_hz)
            if not self._frames:  # shorter than the delay
                return
        label_frames(self._frames, self.labels, world=self._world)
        with interrupts_held_back():
            self._sink.write(self._frames, self.labels)
