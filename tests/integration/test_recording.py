"""Recording into LeRobot datasets: what was saved stays saved, whatever happens, and the same command resumes."""

import contextlib
import json
import random
import shutil
import signal
import subprocess

import av
import numpy as np
import pytest

from reachy_kit.dataset.episode_import import import_episodes
from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import NEUTRAL, EndReason, Episode, Observation, Step
from reachy_kit.runtime.recording.episode_files import EpisodeFiles
from reachy_kit.runtime.recording.layout import DatasetLayout, read_layout
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.recording.schema import ACTION, CAPTURE_TIME, IMAGE, OBS_STATE, SEED

KILL = "import os, signal; kill = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"


def lerobot_dataset(root):
    """The dataset as LeRobot itself reads it."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset(f"local/{root.name}", root=root, video_backend="pyav")


def rows(root):
    return lerobot_dataset(root).hf_dataset.with_format("numpy")


def holds(root, episodes):
    """The dataset has that many episodes, their rows and no others."""
    dataset = lerobot_dataset(root)
    table = dataset.hf_dataset.with_format("numpy")
    assert dataset.meta.total_episodes == episodes
    assert len(dataset.meta.episodes) == episodes
    assert len(table) == dataset.meta.total_frames
    assert list(table["index"][:]) == list(range(len(table)))
    assert sorted(set(table["episode_index"][:].tolist())) == list(range(episodes))


def same_episodes(root, reference):
    """Its episodes are the first ones of another recording."""
    ours, theirs = rows(root), rows(reference)
    for column in (ACTION, OBS_STATE, SEED, CAPTURE_TIME):
        ours_there = np.asarray(ours[column][:])
        np.testing.assert_array_equal(ours_there, np.asarray(theirs[column][:])[: len(ours_there)])


def saved(root):
    """Number of episodes that a recording keeps if it is killed now."""
    for meta in (root / ".before_save/meta", root / "meta"):
        with contextlib.suppress(OSError, ValueError):
            return json.loads((meta / "info.json").read_text())["total_episodes"]
    return 0


@pytest.fixture
def data(kit):
    return kit.folder / "data"


def test_a_killed_recording_keeps_every_saved_episode_and_is_resumed_exactly(kit, data, recorded_dataset, until):
    record = ("record", "--robot", "sim", "--episodes", 6, "--out", data)
    command = kit.start(*record)
    until(lambda: saved(data) >= 3)
    command.send(signal.SIGKILL)  # in the middle of the fourth
    assert command.wait().code == -signal.SIGKILL
    holds(data, 3)
    assert kit.run(*record).code == 0
    holds(data, 6)
    same_episodes(data, recorded_dataset)


def test_ctrl_c_keeps_what_was_saved(kit, data, recorded_dataset, until):
    command = kit.start("record", "--episodes", 8, "--out", data)
    until(lambda: saved(data) >= 1)
    command.send(signal.SIGINT)
    command.wait().says(130, "stopped by Ctrl-C; what was saved before is kept")
    holds(data, saved(data))
    same_episodes(data, recorded_dataset)


def test_the_recording_that_is_already_there_is_enough(kit, recorded_dataset):
    result = kit.run("record", "--out", recorded_dataset, "--episodes", 5, "--json")
    assert result.code == 0
    assert result.json["episodes"] == 8
    assert "already holds 8 episodes" in result.err


# --- in the middle of a save -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_episodes(warm, tmp_path_factory):
    """Two saved episodes, to be copied."""
    root = tmp_path_factory.mktemp("two") / "data"
    from reachy_kit.workflows.inputs.session import open_session
    from reachy_kit.workflows.record import record_episodes
    from reachy_sim.tasks import variant_by_name

    look_at = variant_by_name("look_at")
    with open_session("sim", look_at, camera=False) as session:
        record_episodes(session, look_at, root, episodes=2, hz=25, seed=0, camera=False)
    return root


BEFORE_METADATA = """
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
LeRobotDatasetMetadata.save_episode = lambda *arguments: kill()
"""
BEFORE_THE_FILES_ARE_CLOSED = """
from lerobot.datasets.lerobot_dataset import LeRobotDataset
LeRobotDataset.finalize = lambda dataset: kill()
"""
AFTER_THE_FILES_ARE_CLOSED = """
from lerobot.datasets.lerobot_dataset import LeRobotDataset
finalize = LeRobotDataset.finalize
LeRobotDataset.finalize = lambda dataset: (finalize(dataset), kill())
"""
WHILE_THE_JOURNAL_IS_WRITTEN = """
import shutil
shutil.copy2 = lambda *paths: kill()
"""
WHILE_THE_JOURNAL_IS_REMOVED = """
import shutil
def rmtree(path, *arguments, **options):
    if (path / "files.json").exists():
        (path / "meta/info.json").unlink()
        kill()
shutil.rmtree = rmtree
"""
WHILE_THE_SAVE_IS_UNDONE = """
import shutil
copies = []
copy2 = shutil.copy2
def copy(source, target):
    if ".before_save" in str(source) and len(copies) == 1:
        kill()
    copies.append(copy2(source, target))
shutil.copy2 = copy
"""


@pytest.mark.parametrize(
    "moment, kept",
    [
        pytest.param(WHILE_THE_JOURNAL_IS_WRITTEN, 2, id="while-the-journal-is-written", marks=pytest.mark.long),
        pytest.param(BEFORE_METADATA, 2, id="between-rows-and-metadata", marks=pytest.mark.long),
        pytest.param(BEFORE_THE_FILES_ARE_CLOSED, 2, id="before-the-files-are-closed"),
        pytest.param(AFTER_THE_FILES_ARE_CLOSED, 2, id="after-the-files-are-closed"),
        pytest.param(WHILE_THE_JOURNAL_IS_REMOVED, 3, id="while-the-journal-is-removed"),
    ],
)
def test_a_recording_killed_while_it_saves_is_resumed(moment, kept, kit, data, two_episodes, recorded_dataset):
    shutil.copytree(two_episodes, data)
    killed = kit.run("record", "--episodes", 3, "--out", data, before=KILL + moment)
    assert killed.code == -signal.SIGKILL, killed

    from reachy_kit.dataset.journal import undo_broken_save

    undo_broken_save(data)
    holds(data, kept)
    assert kit.run("record", "--episodes", 3, "--out", data).code == 0
    holds(data, 3)
    same_episodes(data, recorded_dataset)


@pytest.mark.long
def test_a_recording_killed_while_it_undoes_a_save_is_resumed(kit, data, two_episodes, recorded_dataset):
    shutil.copytree(two_episodes, data)
    record = ("record", "--episodes", 3, "--out", data)
    assert kit.run(*record, before=KILL + BEFORE_THE_FILES_ARE_CLOSED).code == -signal.SIGKILL
    assert kit.run(*record, before=KILL + WHILE_THE_SAVE_IS_UNDONE).code == -signal.SIGKILL
    assert kit.run(*record, before=KILL + WHILE_THE_JOURNAL_IS_REMOVED).code == -signal.SIGKILL
    holds(data, 2)
    assert kit.run(*record).code == 0
    holds(data, 3)
    assert not list(data.glob(".before_save*"))
    same_episodes(data, recorded_dataset)


def test_ctrl_c_waits_for_a_save_to_be_whole(kit, data, recorded_dataset):
    interrupt = """
import os, signal
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
save = LeRobotDatasetMetadata.save_episode
LeRobotDatasetMetadata.save_episode = lambda *arguments: (os.kill(os.getpid(), signal.SIGINT), save(*arguments))
"""
    command = kit.run("record", "--episodes", 3, "--out", data, before=interrupt)
    command.says(130, "stopped by Ctrl-C")
    holds(data, 1)
    same_episodes(data, recorded_dataset)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_recording_killed_again_and_again_is_finished(kit, data, recorded_dataset, until):
    """Kills a recording soon after it has saved another episode; each start gets at least that far."""
    rng, kills, before = random.Random(0), 0, 0
    while True:
        command = kit.start("record", "--episodes", 8, "--out", data)
        until(lambda command=command, before=before: command.poll() is not None or saved(data) > before)
        with contextlib.suppress(AssertionError):
            command.wait(within=rng.uniform(0.0, 0.15))  # somewhere in an episode, or in its save
        if command.poll() is not None:
            break
        command.send(signal.SIGKILL)
        command.wait()
        kills += 1
        now = saved(data)
        assert now >= before
        before = now
    assert command.wait().code == 0
    assert kills >= 2
    holds(data, 8)
    same_episodes(data, recorded_dataset)


# --- full disks --------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(kit):
    """A disk of 700 kB that can grow."""
    disk = kit.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_costs_only_the_episode_that_did_not_fit(kit, small_disk, recorded_dataset):
    data = small_disk / "data"
    result = kit.run("record", "--episodes", 50, "--out", data)
    kept = saved(data)
    result.says(1, "could not be written", f"The {kept} episodes before it are kept", "make room")
    assert kept > 1
    holds(data, kept)
    subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
    assert kit.run("record", "--episodes", kept + 1, "--out", data).code == 0
    holds(data, kept + 1)


@pytest.mark.parametrize(
    "owner, function",
    [
        pytest.param("lerobot.datasets.dataset_metadata", "write_info", marks=pytest.mark.long),
        ("lerobot.datasets.dataset_metadata", "write_stats"),
        ("pyarrow.parquet.ParquetWriter", "close"),
    ],
)
def test_a_disk_that_fills_up_during_a_save_leaves_no_half_episode(owner, function, kit, data, two_episodes):
    shutil.copytree(two_episodes, data)
    full = f"""
import errno, pkgutil
owner = pkgutil.resolve_name("{owner}")
really, calls = owner.{function}, []
def full(*arguments, **options):
    calls.append(arguments)
    if len(calls) < 3:
        raise OSError(errno.ENOSPC, "No space left on device")
    return really(*arguments, **options)
owner.{function} = full
"""
    kit.run("record", "--episodes", 3, "--out", data, before=full).says(1, "No space left", "The 2 episodes before it")
    holds(data, 2)
    assert kit.run("record", "--episodes", 3, "--out", data).code == 0
    holds(data, 3)


@pytest.mark.parametrize("reason", [reason for reason in EndReason if reason is not EndReason.COMPLETED])
def test_an_episode_that_is_not_completed_leaves_no_trace(reason, data, two_episodes):
    shutil.copytree(two_episodes, data)
    recorder, zero = EpisodeRecorder(LeRobotWriter(data, read_layout(data))), np.zeros(1)
    observation = Observation(NEUTRAL, 0.0, environment_state=np.zeros(4), last_action=NEUTRAL)
    recorder.on_episode_start(2)
    recorder.on_step(Step(0, observation, NEUTRAL, None, observation))
    recorder.on_episode_end(Episode(2, 1, None, None, None, zero, zero, end_reason=reason))
    assert recorder.episodes == 2
    holds(data, 2)


# --- the robot's own files ---------------------------------------------------------------------------------------


class Both:
    """A sink that passes episodes on to two sinks."""

    def __init__(self, first, second):
        self.sinks, self.layout, self.episodes = (first, second), first.layout, 0

    def write(self, frames):
        for sink in self.sinks:
            sink.write(frames)


def record_random(sink, seed, count):
    rng, recorder, zero = np.random.default_rng(seed), EpisodeRecorder(sink), np.zeros(1)
    recorder.on_episode_start(seed)
    for index in range(count):
        observation = Observation(
            rng.normal(size=9),
            index / 25 + 0.003,
            environment_state=rng.normal(size=2),
            last_action=rng.normal(size=9),
            images={"head": rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)},
            image_times={"head": index / 25},
        )
        recorder.on_step(Step(index, observation, rng.normal(size=9), None, observation))
    recorder.on_episode_end(Episode(seed, count, None, None, None, zero, zero))


def pixels(root):
    images = []
    for path in sorted(root.glob("videos/**/*.mp4")):
        with av.open(path) as video:
            images += [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    return np.stack(images)


def test_episode_files_become_the_dataset_that_would_have_been_recorded(tmp_path):
    layout = DatasetLayout("look_at", "Look.", ("right", "below"), ("rad", "rad"), 25, (48, 64, 3))
    direct, files, imported = tmp_path / "direct", tmp_path / "files", tmp_path / "imported"
    sink = Both(LeRobotWriter(direct, layout), EpisodeFiles(files, layout))
    for seed in range(2):
        record_random(sink, seed, count=6 + seed)
    assert import_episodes(files, imported) == 2
    record_random(sink, 2, count=5)
    assert import_episodes(files, imported) == 3  # only the new one is added
    holds(imported, 3)
    ours, theirs = rows(imported), rows(direct)
    assert ours.column_names == theirs.column_names
    for column in ours.column_names:
        if column != IMAGE:
            np.testing.assert_array_equal(ours[column][:], theirs[column][:])
    np.testing.assert_array_equal(pixels(imported), pixels(direct))
    assert read_layout(imported) == layout

    record_random(EpisodeFiles(tmp_path / "other", layout), 7, count=5)
    with pytest.raises(RefusedError, match="holds other episodes"):
        import_episodes(tmp_path / "other", imported)


# --- the camera --------------------------------------------------------------------------------------------------


def frames(root):
    """Number of frames in the videos."""
    count = 0
    for path in root.glob("videos/**/*.mp4"):
        with av.open(path) as video:
            assert video.streams.video[0].codec_context.name == "h264"
            count += sum(1 for _ in video.decode(video=0))
    return count


def test_with_the_camera_every_row_has_its_frame(kit, data):
    result = kit.run("record", "--camera", "--episodes", 2, "--out", data)
    assert result.code == 0, result
    assert "x264" not in result.err
    holds(data, 2)
    dataset = lerobot_dataset(data)
    assert frames(data) == dataset.meta.total_frames
    middle = dataset[100][IMAGE]
    assert tuple(middle.shape) == (3, 180, 320)
    assert 0.2 < float(middle.mean()) < 0.9
    assert not list(data.rglob("*.png"))

    # One image that cannot be written: the episode is refused, or the video would be shorter than the table.
    lose_one = """
from lerobot.datasets import dataset_writer
write_image = dataset_writer.write_image
dataset_writer.write_image = lambda image, path, **options: path.stem == "frame-000010" or write_image(image, path)
"""
    result = kit.run("record", "--camera", "--episodes", 3, "--out", data, before=lose_one)
    result.says(1, "1 of its 88 images could not be written", "The 2 episodes before it are kept")
    holds(data, 2)
    assert frames(data) == lerobot_dataset(data).meta.total_frames
