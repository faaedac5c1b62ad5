"""The recorder: a rollout's subscriber that hands each whole episode to a sink, which makes it durable."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from reachy_kit.runtime.interface import EndReason, Episode, Image, Step
from reachy_kit.runtime.interrupts import interrupts_held_back
from reachy_kit.runtime.recording.audio_samples import AudioSamples
from reachy_kit.runtime.recording.labels import EpisodeLabels, label_frames
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.measured_actions import measured_actions
from reachy_kit.runtime.recording.schema import AUDIO, IMAGE, IMAGE_TIME, INTERVENTION, Frame, frame
from reachy_kit.runtime.recording.take_faults import TakeFaults
from reachy_kit.runtime.recording.video.h264 import SOFTWARE, fastest_encoder
from reachy_kit.runtime.recording.video.take_video import TakeVideo, VideoEncoder
from reachy_kit.runtime.robots.loop_rate import REFUSED, is_late

DROPPED_REFUSED = 0.02
"""Share of a take's images above which it is not kept, if they were dropped."""


class EpisodeSink(Protocol):
    """Where episodes are stored: a LeRobot dataset, or files on the robot's own computer."""

    layout: DatasetLayout

    @property
    def episodes(self) -> int:
        """Episodes safely on disk."""
        ...

    @property
    def video_file(self) -> Path | None:
        """Where the recorder encodes a take's images while it lasts; None leaves them in its frames."""
        ...

    def write(self, frames: list[Frame], labels: EpisodeLabels, video: TakeVideo | None = None) -> None:
        """Store an episode completely or not at all.

        Args:
            frames: of the episode, all columns.
            labels: of the episode.
            video: of the images that the frames then lack, in ``video_file``, which is moved.

        Raises:
            KitError: the disk is full or cannot be written; the episodes before are kept.
        """
        ...

    def take_back(self) -> None:
        """Remove the episode that was stored last; once after each.

        Raises:
            KitError: the disk cannot be written; the episode is kept.
        """
        ...


class EpisodeRecorder:
    """A rollout's subscriber that stores each completed episode.

    One that is discarded or aborted leaves no trace, nor does one that was so late that its timestamps are wrong.

    Args:
        sink: stores the episodes.
        labels: of the episodes; without any, the layout's instruction. They may be replaced until an episode ends.
        intervened: whether the latest decision was a person's and not the policy's; None where no policy drives. An
            episode that no person corrected is not stored: there is nothing to learn from it.
        wall_clock: whether the robot keeps the wall clock's pace. Then the images are encoded by the fastest encoder
            of this computer, and one for which it has no time is dropped; otherwise the loop waits for it.
        check: says in a line what is wrong with a take that was stored; empty if nothing is.
    """

    def __init__(
        self,
        sink: EpisodeSink,
        labels: EpisodeLabels | None = None,
        intervened: Callable[[], bool] | None = None,
        *,
        wall_clock: bool = False,
        check: Callable[[list[Frame], DatasetLayout], str] = lambda frames, layout: "",
    ) -> None:
        self._sink, self._check = sink, check
        self.labels = labels or EpisodeLabels(sink.layout.instruction)
        self.motion_delay: float | None = None
        """Time by which the motion of a guided robot lags behind its commands, s: the measured motion is then stored
        as the actions. None where the applied actions are."""
        self._intervened, self._wall_clock = intervened, wall_clock
        self._video: VideoEncoder | None = None
        self.remark = ""
        """What to say about the last take; empty if nothing is wrong with it."""
        self._faults = TakeFaults(sink.layout.image_shape)
        self.on_episode_start(0)

    @property
    def episodes(self) -> int:
        """Episodes safely on disk."""
        return self._sink.episodes

    @property
    def is_uncorrected(self) -> bool:
        """Whether a policy drove the latest episode, and no person corrected it."""
        return self._intervened is not None and not any(columns[INTERVENTION][0] for columns in self._frames)

    def take_back(self) -> None:
        """Remove the episode that was stored last; Ctrl-C waits until that is done.

        Raises:
            KitError: the disk cannot be written; the episode is kept.
        """
        with interrupts_held_back():
            self._sink.take_back()

    def on_episode_start(self, seed: int) -> None:
        """Begin with an empty buffer."""
        self._discard_video()
        self._seed, self._world, self.remark = seed, False, ""
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
            intervened=self._intervened is not None and self._intervened(),
            image=layout.image_shape is not None,
            sound=bool(layout.sound),
        )
        if layout.audio_samples:
            self._audio.append(observation)
        file = self._sink.video_file if IMAGE in columns else None
        if file and not self._encode(columns.pop(IMAGE), file):  # the image before stands in its place
            columns[IMAGE_TIME] = self._frames[-1][IMAGE_TIME]
        self._frames.append(columns)

    def on_episode_end(self, episode: Episode) -> None:
        """Store a completed episode that kept the rate; Ctrl-C waits until it is whole. Any other leaves no trace.

        Raises:
            KitError: the disk is full or cannot be written; the episodes before are kept.
        """
        kept = episode.end_reason is EndReason.COMPLETED and bool(self._frames) and not is_late(episode, REFUSED)
        if not kept or self.is_uncorrected:
            self._discard_video()
            return
        if samples := self._sink.layout.audio_samples:
            for columns, piece in zip(self._frames, self._audio.pieces(len(self._frames), samples), strict=True):
                columns[AUDIO] = piece
        if self.motion_delay is not None:
            self._frames = measured_actions(self._frames, self.motion_delay, 1 / self._sink.layout.policy_hz)
        label_frames(self._frames, self.labels, world=self._world)
        with interrupts_held_back():
            encoder, self._video = self._video, None
            video = encoder.finish(len(self._frames)) if encoder else None
            if video and self._spoilt(video):
                video.path.unlink()
                return
            self._sink.write(self._frames, self.labels, video)
        self.remark = self.remark or self._check(self._frames, self._sink.layout)

    def _spoilt(self, video: TakeVideo) -> bool:
        """Note the images that were dropped; whether they were too many."""
        if not video.dropped:
            return False
        spoilt = video.dropped > DROPPED_REFUSED * video.frames
        self.remark = (
            f"{video.dropped} of {video.frames} images were dropped, because this computer is too slow to encode them: "
            + ("the episode is not kept" if spoilt else "the image before stands in the place of each")
            + ". Close other programs, or record smaller images"
        )
        return spoilt

    def _encode(self, image: Image, file: Path) -> bool:
        if self._video is None:
            layout = self._sink.layout
            assert layout.image_shape is not None, "only a layout with images has any"
            encoder = fastest_encoder(layout.image_shape, layout.policy_hz) if self._wall_clock else SOFTWARE
            self._video = VideoEncoder(file, layout.image_shape, layout.policy_hz, encoder, wait=not self._wall_clock)
        return self._video.add(image)

    def _discard_video(self) -> None:
        video, self._video = self._video, None
        if video:
            video.discard()
