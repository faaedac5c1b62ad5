"""The recorder: what a frame says beside the motion, and which takes are not kept."""

import threading
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_kit.runtime.interface import CAMERA, NEUTRAL, EndReason, Episode, Observation, Step, Truth
from reachy_kit.runtime.recording import recorder
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.recording.recording_space import check_space, disk_per_minute
from reachy_kit.runtime.recording.schema import (
    ACTION,
    AUDIO,
    CAPTURE_TIME,
    IMAGE_TIME,
    INTERVENTION,
    OPERATOR,
    REQUESTED_ACTION,
    REWARD,
    SOUND,
    SUCCESS,
    SUCCESS_MARK,
)
from reachy_kit.runtime.recording.video.h264 import SOFTWARE, H264Encoder

STATE = DatasetLayout("look_at", "Look at the ball.", ("right",), ("rad",), 25)
SHAPE = (12, 16, 3)
UPTIME = 5_000_000.0
"""Seconds on a clock that has run for two months: 32-bit floats have steps of half a second there."""


class MemorySink:
    """A sink in memory."""

    def __init__(self, layout=STATE):
        self.layout, self.takes = layout, []

    @property
    def episodes(self):
        return len(self.takes)

    video_file = None

    def write(self, frames, labels, video=None):
        self.takes.append((frames, labels))


def observation(index, **fields):
    defaults = {"environment_state": np.zeros(1), "last_action": NEUTRAL}
    return Observation(NEUTRAL, UPTIME + index / 25, **{**defaults, **fields})


def seen(index, age=0.04, shape=SHAPE):
    """An observation with an image that is ``age`` s old."""
    times = {CAMERA: UPTIME + index / 25 - age}
    return observation(index, images={CAMERA: np.zeros(shape, dtype=np.uint8)}, image_times=times)


def step(index, before=None, truth=None):
    target = NEUTRAL + 0.1 * (index + 1)
    return Step(index, before or observation(index), NEUTRAL, truth, observation(index + 1), target)


def record(recorder, steps):
    zero = np.zeros(1)
    recorder.on_episode_start(7)
    for one in steps:
        recorder.on_step(one)
    recorder.on_episode_end(Episode(7, len(steps), None, None, None, zero, zero))


def column(frames, key):
    return np.array([frame[key] for frame in frames]).squeeze().tolist()


def test_the_policys_target_stands_beside_the_applied_action():
    sink = MemorySink()
    record(EpisodeRecorder(sink), [step(index) for index in range(3)])
    (frames, _) = sink.takes[0]
    np.testing.assert_allclose([frame[ACTION] for frame in frames], [NEUTRAL] * 3, atol=1e-7)
    wanted = [NEUTRAL + 0.1, NEUTRAL + 0.2, NEUTRAL + 0.3]
    np.testing.assert_allclose([frame[REQUESTED_ACTION] for frame in frames], wanted, atol=1e-6)


def test_times_count_from_the_episodes_first_measurement():
    sink = MemorySink(replace(STATE, image_shape=SHAPE))
    record(EpisodeRecorder(sink), [step(index, seen(index)) for index in range(3)])
    frames, _ = sink.takes[0]
    np.testing.assert_allclose(np.float32(column(frames, CAPTURE_TIME)), [0, 0.04, 0.08], atol=1e-6)
    np.testing.assert_allclose(np.float32(column(frames, IMAGE_TIME)), [-0.04, 0, 0.04], atol=1e-6)


def test_labels_may_change_until_the_episode_ends_and_from_one_to_the_next():
    sink = MemorySink()
    recorder = EpisodeRecorder(sink, EpisodeLabels("Look.", operator="wren"))
    record(recorder, [step(0), step(1)])
    recorder.labels = EpisodeLabels("Look away.", operator="finch", success=False)
    record(recorder, [step(0)])
    assert [labels.instruction for _, labels in sink.takes] == ["Look.", "Look away."]
    assert [column(frames, OPERATOR) for frames, _ in sink.takes] == [["wren", "wren"], "finch"]
    assert [column(frames, SUCCESS_MARK) for frames, _ in sink.takes] == [[-1, -1], 0]


@pytest.mark.parametrize(
    "mark, success, reward", [(True, [0, 0, 1], [0, 0, 1]), (False, [0, 0, 0], [0, 0, 0]), (None, [0, 0, 0], [0, 0, 0])]
)
def test_without_a_world_success_and_reward_are_the_operators_mark(mark, success, reward):
    sink = MemorySink()
    record(EpisodeRecorder(sink, EpisodeLabels("Look.", success=mark)), [step(index) for index in range(3)])
    frames, _ = sink.takes[0]
    assert column(frames, SUCCESS) == success
    assert column(frames, REWARD) == reward


def test_a_world_knows_success_better_than_the_operator_whose_mark_is_kept_too():
    sink, truth = MemorySink(), Truth(np.zeros(3), 0.1, 0.5, success=False)
    record(EpisodeRecorder(sink, EpisodeLabels("Look.", success=True)), [step(0, truth=truth), step(1, truth=truth)])
    frames, _ = sink.takes[0]
    assert column(frames, SUCCESS) == [False, False]
    assert column(frames, REWARD) == [0.5, 0.5]
    assert column(frames, SUCCESS_MARK) == [1, 1]


def test_frames_in_which_a_person_drove_are_marked():
    sink, drove = MemorySink(), iter([False, True, False])
    record(EpisodeRecorder(sink, intervened=lambda: next(drove)), [step(index) for index in range(3)])
    assert column(sink.takes[0][0], INTERVENTION) == [False, True, False]


def test_of_a_policys_episodes_those_that_nobody_corrected_are_not_kept():
    sink, marks = MemorySink(), iter([False, False, True])
    recorder = EpisodeRecorder(sink, intervened=lambda: next(marks))
    record(recorder, [step(0), step(1)])
    assert recorder.is_uncorrected
    record(recorder, [step(0)])
    assert not recorder.is_uncorrected
    assert len(sink.takes) == 1


def test_sound_is_kept_where_the_layout_names_it():
    sink = MemorySink(replace(STATE, sound=("level", "onset")))
    record(EpisodeRecorder(sink), [step(0, observation(0, sound=np.array([0.25, 0.5])))])
    assert sink.takes[0][0][0][SOUND].tolist() == [0.25, 0.5]
    with pytest.raises(KitError, match="--audio off"):
        record(EpisodeRecorder(sink), [step(0)])


def test_no_sample_of_the_microphone_is_lost_or_repeated():
    sink, rng = MemorySink(replace(STATE, audio_samples=8)), np.random.default_rng(0)
    samples = rng.integers(-32767, 32767, 40)
    parts = np.split(samples, [9, 16, 23, 32])  # its clock is not the loop's
    steps = [
        step(index, observation(index, audio=(part / 32767).astype(np.float32))) for index, part in enumerate(parts)
    ]
    record(EpisodeRecorder(sink), steps)
    frames, _ = sink.takes[0]
    assert all(frame[AUDIO].shape == (8,) and frame[AUDIO].dtype == np.int16 for frame in frames)
    np.testing.assert_array_equal(np.concatenate([frame[AUDIO] for frame in frames]), samples)


@pytest.mark.parametrize(
    "spoilt, says",
    [
        (observation(-30), r"clock jumped back by 1\.24 s"),
        (seen(2, shape=(24, 32, 3)), r"images of 32 × 24 px instead of 16 × 12"),
        (observation(2), "camera gives no images"),
    ],
)
def test_a_clock_or_a_camera_that_fails_ends_the_take_and_keeps_those_before(spoilt, says):
    sink = MemorySink(replace(STATE, image_shape=SHAPE))
    recorder = EpisodeRecorder(sink)
    record(recorder, [step(0, seen(0)), step(1, seen(1))])
    with pytest.raises(KitError, match=says):
        record(recorder, [step(0, seen(0)), step(1, seen(1)), step(2, spoilt)])
    assert sink.episodes == 1


# --- images, room -----------------------------------------------------------------------------------------------------

LARGE = (480, 640, 3)
WAITING = 54
"""Images of that size that may wait for the encoder."""


class VideoSink(MemorySink):
    """A sink that lets the recorder encode the images."""

    def __init__(self, layout, folder):
        super().__init__(layout)
        self.video_file = folder / "take.mp4"

    def write(self, frames, labels, video=None):
        self.takes.append((frames, video))


@dataclass(frozen=True)
class HeldUpEncoder(H264Encoder):
    """An encoder that begins when it may."""

    may_begin: threading.Event = field(default_factory=threading.Event)

    def open_stream(self, output, shape, fps):
        self.may_begin.wait()
        return SOFTWARE.open_stream(output, shape, fps)


@pytest.mark.parametrize("images, kept", [(WAITING, True), (WAITING + 1, True), (2 * WAITING, False)])
def test_images_that_could_not_be_encoded_are_counted_and_too_many_cost_the_take(images, kept, tmp_path, monkeypatch):
    held = HeldUpEncoder(SOFTWARE.codec, SOFTWARE.options)
    monkeypatch.setattr(recorder, "fastest_encoder", lambda shape, fps: held)  # this computer's is never too slow
    sink = VideoSink(replace(STATE, image_shape=LARGE), tmp_path)
    recording, zero = EpisodeRecorder(sink, wall_clock=True), np.zeros(1)
    recording.on_episode_start(0)
    for index in range(images):
        recording.on_step(step(index, seen(index, shape=LARGE)))
    held.may_begin.set()
    recording.on_episode_end(Episode(0, images, None, None, None, zero, zero))
    dropped = images - WAITING
    assert (sink.episodes == 1) == kept
    assert recording.remark.startswith(f"{dropped} of {images} images were dropped") == (dropped > 0)
    assert ("not kept" in recording.remark) == (not kept)
    if kept:
        frames, video = sink.takes[0]
        assert (video.frames, video.dropped) == (images, dropped) and len(frames) == images
        assert len(set(column(frames, IMAGE_TIME))) == WAITING  # the image before, with its own time
    else:
        assert list(tmp_path.iterdir()) == []


def test_a_take_that_is_not_kept_leaves_no_video(tmp_path):
    sink = VideoSink(replace(STATE, image_shape=SHAPE), tmp_path)
    recording, zero = EpisodeRecorder(sink), np.zeros(1)
    recording.on_episode_start(0)
    recording.on_step(step(0, seen(0)))
    discarded = Episode(0, 1, None, None, None, zero, zero, end_reason=EndReason.DISCARDED)
    recording.on_episode_end(discarded)
    assert list(tmp_path.iterdir()) == [] and sink.episodes == 0


def test_a_recording_for_which_there_is_no_room_is_refused_before_it_starts(tmp_path):
    camera, plenty = replace(STATE, image_shape=LARGE), 10**12
    minute = disk_per_minute(camera)
    out = tmp_path / "not" / "there"
    assert check_space(out, camera, free=plenty, memory=plenty) is None
    assert "room for about 3 minutes" in check_space(out, camera, free=round(3.1 * minute), memory=plenty)
    with pytest.raises(RefusedError, match=r"has 0\.1 MB left, .* takes about .* MB.*--out"):
        check_space(out, camera, free=100_000, memory=plenty)
    with pytest.raises(RefusedError, match=r"has 50\.0 MB of memory left"):
        check_space(out, camera, free=plenty, memory=50_000_000)
    assert check_space(out, STATE, free=10**7, memory=10**9) is None
