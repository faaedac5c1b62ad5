"""The recorder: what a frame says beside the motion, and which takes are not kept."""

from dataclasses import replace

import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CAMERA, NEUTRAL, Episode, Observation, Step, Truth
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
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
        (seen(2, age=1.5), r"camera is frozen: its latest frame is 1\.5 s old"),
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
