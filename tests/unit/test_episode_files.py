"""Episodes as plain files: recordings are read bit for bit, and saved episodes stay saved."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.interface import CAMERA, NEUTRAL, EndReason, Episode, Observation, Step, Truth
from reachy_kit.runtime.recording import episode_files
from reachy_kit.runtime.recording.episode_files import EpisodeFiles, count_episodes, read_episode, take_of
from reachy_kit.runtime.recording.episode_table import write_binaries
from reachy_kit.runtime.recording.layout import LAYOUT_FILE, DatasetLayout, read_layout, write_layout
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.recording.schema import ACTION, IMAGE, SEED

from ..forked import in_a_child

LAYOUT = DatasetLayout(
    "look_at", "Look at the ball.", ("right", "below"), ("rad", "rad"), 25, (12, 16, 3), provenance={"robot": "toy"}
)


def steps(seed, count=4):
    """Steps of random numbers."""
    rng = np.random.default_rng(seed)

    def observation(index):
        return Observation(
            rng.normal(size=9),
            index / 25,
            environment_state=rng.normal(size=2),
            last_action=rng.normal(size=9),
            images={CAMERA: np.full((12, 16, 3), rng.integers(0, 256), dtype=np.uint8)},
            image_times={CAMERA: index / 25 - 0.01},
        )

    return [
        Step(index, observation(index), rng.normal(size=9), None, observation(index + 1), NEUTRAL)
        for index in range(count)
    ]


def record(sink, seed, count=4, reason=EndReason.COMPLETED):
    recorder, zero = EpisodeRecorder(sink), np.zeros(1)
    recorder.on_episode_start(seed)
    for step in steps(seed, count):
        recorder.on_step(step)
    recorder.on_episode_end(Episode(seed, count, None, None, None, zero, zero, end_reason=reason))


class MemorySink:
    """A sink in memory."""

    layout = LAYOUT
    episodes = 0

    video_file = None

    def write(self, frames, labels, video=None):
        self.frames = frames


def kept(seed, count=4):
    sink = MemorySink()
    record(sink, seed, count)
    return sink.frames


def assert_same(frames, others):
    """Bit for bit, but for the images, which a video keeps only roughly."""
    assert len(frames) == len(others)
    for frame, other in zip(frames, others, strict=True):
        assert frame.keys() == other.keys()
        for name, value in frame.items():
            assert (value.dtype, value.shape) == (other[name].dtype, other[name].shape)
            if name == IMAGE:
                assert np.abs(value.astype(float) - other[name]).mean() < 8.0  # of 255
            else:
                np.testing.assert_array_equal(value, other[name])


@pytest.fixture
def root(tmp_path):
    return tmp_path / "files"


@pytest.fixture
def no_encoder(monkeypatch):
    monkeypatch.setattr("reachy_kit.runtime.recording.episode_files.can_encode", lambda: False)


def test_an_episode_is_read_as_it_was_recorded(root):
    files = EpisodeFiles(root, LAYOUT)
    record(files, seed=3)
    record(files, seed=4, count=7)
    assert files.episodes == count_episodes(root) == 2
    assert_same(read_episode(root, 0), kept(3))
    assert_same(read_episode(root, 1), kept(4, 7))
    assert read_episode(root, 1)[0][SEED] == [4]
    assert read_layout(root, "episode files") == LAYOUT


def test_where_there_is_no_encoder_images_are_kept_bit_for_bit(root, no_encoder):
    record(EpisodeFiles(root, LAYOUT), seed=3)
    assert not list(root.rglob("*.mp4"))
    for frame, other in zip(read_episode(root, 0), kept(3), strict=True):
        np.testing.assert_array_equal(frame[IMAGE], other[IMAGE])


def test_a_stranger_reads_an_episode_with_pyarrow_alone(root):
    record(EpisodeFiles(root, LAYOUT), seed=3, count=5)
    page = Path(episode_files.__file__).with_name("EPISODE_FILES.md").read_text()
    program = page.split("```python\n")[1].split("```")[0]
    alone = f"import sys; sys.path[:] = [p for p in sys.path if p]; sys.argv[1:] = [{str(root)!r}]\n{program}"
    read = subprocess.run([sys.executable, "-I", "-c", alone], capture_output=True, text=True, check=True, timeout=240)
    assert "Look at the ball." in read.stdout
    assert "5 frames" in read.stdout
    assert np.array2string(kept(3)[0][ACTION], precision=3, max_line_width=200) in read.stdout


def test_without_a_camera_there_are_no_images(root):
    layout = DatasetLayout("look_at", "", ("right", "below"), ("rad", "rad"), 25)
    record(EpisodeFiles(root, layout), seed=1)
    assert IMAGE not in read_episode(root, 0)[0]
    assert {path.name for path in root.glob("episodes/*/*")} == {"episode.json", "frames.parquet"}


@pytest.mark.parametrize("reason", [reason for reason in EndReason if reason is not EndReason.COMPLETED])
def test_an_episode_that_is_not_completed_leaves_no_trace(root, reason):
    record(EpisodeFiles(root, LAYOUT), seed=1, reason=reason)
    assert not list(root.glob("episodes/*"))


def test_the_camera_gives_no_image(root):
    recorder = EpisodeRecorder(EpisodeFiles(root, LAYOUT))
    recorder.on_episode_start(0)
    blind = Observation(NEUTRAL, 0.0, environment_state=np.zeros(2), last_action=NEUTRAL)
    with pytest.raises(KitError, match="record without --camera"):
        recorder.on_step(Step(0, blind, NEUTRAL, Truth(np.zeros(3), 0.0, 0.0, False), blind, NEUTRAL))


@pytest.mark.parametrize(
    "function, call, saved",
    [
        ("mkdir", 1, 1),  # the episode's folder
        ("fsync", 1, 1),
        ("fsync", 4, 1),
        ("replace", 1, 1),  # the take's video, to the other files
        ("replace", 2, 1),  # the commit
        ("replace", 3, 2),
        ("replace", 4, 2),
        ("replace", 5, 2),
        ("unlink", 1, 2),
    ],
)
def test_a_recording_killed_while_it_saves_keeps_what_was_saved_and_is_resumed(root, function, call, saved):
    real, calls = getattr(os, function), []

    def killed(*arguments, **options):
        calls.append(arguments)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    def record_until_killed():
        files = EpisodeFiles(root, LAYOUT)
        record(files, seed=0)
        setattr(os, function, killed)
        record(files, seed=1)

    assert in_a_child(record_until_killed) == -signal.SIGKILL
    files = EpisodeFiles(root, LAYOUT)
    assert files.episodes == saved
    for seed in range(saved, 3):
        record(files, seed)
    assert sorted(path.name for path in (root / "episodes").iterdir()) == ["000000", "000001", "000002"]
    for seed in range(3):
        assert_same(read_episode(root, seed), kept(seed))


def test_a_start_that_was_cut_short_is_made_again(root):
    (root / "meta").mkdir(parents=True)
    (root / "meta" / f"{LAYOUT_FILE.name}.partial").write_text("{")
    record(EpisodeFiles(root, LAYOUT), seed=0)
    assert count_episodes(root) == 1


def test_a_full_disk_costs_only_the_episode_that_did_not_fit(root, monkeypatch):
    files = EpisodeFiles(root, LAYOUT)
    record(files, seed=0)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(KitError, match=r"No space left.*The 1 episodes before it are kept"):
            record(files, seed=1)
    assert count_episodes(root) == 1
    record(files, seed=1)
    assert_same(read_episode(root, 1), kept(1))


def test_files_of_something_else_are_left_alone(root, tmp_path):
    root.mkdir()
    (root / "diary.txt").write_text("mine")
    with pytest.raises(WrongUseError, match="is not a reachy-kit dataset"):
        EpisodeFiles(root, LAYOUT)
    assert [path.name for path in root.iterdir()] == ["diary.txt"]
    with pytest.raises(WrongUseError, match="is a file"):
        EpisodeFiles(root / "diary.txt", LAYOUT)


def test_episodes_of_another_layout_are_not_mixed(root):
    record(EpisodeFiles(root, LAYOUT), seed=0)
    with pytest.raises(RefusedError, match="holds policy_hz 25, this recording has 10"):
        EpisodeFiles(root, DatasetLayout("look_at", "", ("right", "below"), ("rad", "rad"), 10, (12, 16, 3)))


def test_a_missing_episode_is_noticed(root):
    files = EpisodeFiles(root, LAYOUT)
    for seed in range(3):
        record(files, seed)
    shutil.rmtree(root / "episodes" / "000001")
    with pytest.raises(RefusedError, match="lacks episode 1"):
        EpisodeFiles(root, LAYOUT)


def test_each_take_has_an_identity_of_its_own_whatever_its_seed(root, tmp_path):
    files, others = EpisodeFiles(root, LAYOUT), EpisodeFiles(tmp_path / "others", LAYOUT)
    for sink in (files, files, others):
        record(sink, seed=3)
    takes = {take_of(root, 0), take_of(root, 1), take_of(others.root, 0)}
    assert len(takes) == 3 and all(len(take) == 32 for take in takes)


DAMAGES = {
    "table": lambda folder: (folder / "frames.parquet").write_bytes(b"PAR1"),
    "no-table": lambda folder: (folder / "frames.parquet").unlink(),
    "json": lambda folder: (folder / "episode.json").write_text("[]"),
    "labels": lambda folder: rewrite(folder / "episode.json", instruction=5),
    "take": lambda folder: rewrite(folder / "episode.json", take=None),
    "frames": lambda folder: rewrite(folder / "episode.json", frames=9),
    "files": lambda folder: rewrite(folder / "episode.json", sha256={"frames.parquet": "", "../../secret": ""}),
    "no-video": lambda folder: (folder / "head.mp4").unlink(),
    "video": lambda folder: (folder / "head.mp4").write_bytes(b"\0\0"),
}


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_episode_is_refused(root, damage):
    record(EpisodeFiles(root, LAYOUT), seed=0)
    damage(root / "episodes" / "000000")
    with pytest.raises(RefusedError, match="000000 is damaged"):
        read_episode(root, 0)


@pytest.mark.parametrize("content", [b"", b"\x89PNG"])
def test_a_damaged_image_is_refused(root, no_encoder, content):
    record(EpisodeFiles(root, LAYOUT), seed=0)
    write_binaries(root / "episodes/000000/head.parquet", IMAGE, [content] * 4)
    with pytest.raises(RefusedError, match="000000 is damaged"):
        read_episode(root, 0)


# --- the layout's file -------------------------------------------------------------------------------------------


def rewritten(root, **changes):
    write_layout(root, LAYOUT, "lerobot")
    file = root / LAYOUT_FILE
    stored = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({name: value for name, value in stored.items() if value != "left out"}))
    return root


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"schema": "left out", "storage": "left out"}, r"recorded by an older reachy-kit \(schema 1; this one reads"),
        ({"schema": 99}, r"recorded by a newer reachy-kit \(schema 99"),
    ],
)
def test_a_dataset_of_another_schema_is_refused_in_a_line(root, changes, words):
    with pytest.raises(RefusedError, match=words) as refusal:
        read_layout(rewritten(root, **changes))
    assert f"record it again: reachy-kit record --out {root}-2" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"policy_hz": "25"}, "no sensible policy_hz"),
        ({"image_shape": 3}, "no sensible image_shape"),
        ({"action": None}, "no sensible action"),
        ({"task": "left out", "policy_hz": "left out"}, "no task, policy_hz"),
        ({"storage": "left out"}, "storage None"),
        ({"schema": "two"}, "schema two"),
    ],
)
def test_a_layout_that_makes_no_sense_is_refused(root, changes, words):
    with pytest.raises(RefusedError, match=rf"{LAYOUT_FILE} is damaged \({words}\)\. Copy the file again"):
        read_layout(rewritten(root, **changes))


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_holds_no_layout_is_refused(root, content):
    rewritten(root)
    (root / LAYOUT_FILE).write_bytes(content)
    with pytest.raises(RefusedError, match=rf"{LAYOUT_FILE} is damaged .*Copy the file again"):
        read_layout(root)


def test_a_key_that_a_later_version_added_is_ignored(root):
    assert read_layout(rewritten(root, weather="fine")) == LAYOUT


@pytest.mark.parametrize(
    "place, words",
    [
        ("nowhere", "it does not exist. Record one: reachy-kit record --out {place}"),
        ("empty", "it is empty. Record one: reachy-kit record --out {place}"),
        ("clutter", "it is empty. Record one: reachy-kit record --out {place}"),
        ("file", "it is a file. Record one: reachy-kit record --out {place}-2"),
        ("photos", f"it lacks {LAYOUT_FILE}. Record one: reachy-kit record --out {{place}}-2"),
        ("hub", f"it is one of LeRobot's, format v2.1, that lacks {LAYOUT_FILE}"),
        ("data", "but a folder of datasets. Give one of them: {place}/look_at"),
        ("data/look_at/meta", "but a part of one. Give the whole folder: {root}/data/look_at"),
    ],
)
def test_what_is_there_instead_of_a_dataset_is_said(place, words, tmp_path):
    for folder in ("empty", "clutter", "photos", "hub/meta"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("clutter/.DS_Store", "file", "photos/beach.jpg"):
        (tmp_path / file).write_bytes(b"\0")
    (tmp_path / "hub/meta/info.json").write_text('{"codebase_version": "v2.1"}')
    write_layout(tmp_path / "data/look_at", LAYOUT, "lerobot")
    with pytest.raises(WrongUseError) as refusal:
        read_layout(tmp_path / place)
    wrong = f"{tmp_path / place} is not a reachy-kit dataset"
    assert str(refusal.value).startswith(wrong)
    assert words.format(place=tmp_path / place, root=tmp_path) in str(refusal.value)


def test_a_folder_that_counts_as_empty_takes_episodes(root):
    root.mkdir()
    (root / ".DS_Store").write_bytes(b"\0")
    record(EpisodeFiles(root, LAYOUT), seed=0)
    assert count_episodes(root) == 1


def test_episode_files_and_lerobot_datasets_are_distinguished(root, tmp_path):
    with pytest.raises(WrongUseError, match="holds a LeRobot dataset"):
        EpisodeFiles(rewritten(root), LAYOUT)
    EpisodeFiles(tmp_path / "other", LAYOUT)
    with pytest.raises(WrongUseError, match=r"holds episode files\. Import them"):
        read_layout(tmp_path / "other")
