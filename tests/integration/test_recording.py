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
from reachy_policies.data.demonstrations import load_demonstrations

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


def shows(root, episodes):
    """LeRobot reads that many episodes and all their frames, whatever a save in progress has added to the files."""
    dataset = lerobot_dataset(root)
    assert dataset.num_episodes == episodes
    frames = dataset.hf_dataset.with_format("numpy")[: len(dataset)]
    assert list(frames["index"]) == list(range(len(dataset)))
    assert sorted(set(frames["episode_index"].tolist())) == list(range(episodes))


def same_episodes(root, reference):
    """Its episodes are the first ones of another recording."""
    ours, theirs = rows(root), rows(reference)
    for column in (ACTION, OBS_STATE, SEED, CAPTURE_TIME):
        ours_there = np.asarray(ours[column][:])
        np.testing.assert_array_equal(ours_there, np.asarray(theirs[column][:])[: len(ours_there)])


def saved(root):
    """Number of episodes that a recording keeps if it is killed now."""
    with contextlib.suppress(FileNotFoundError):
        return json.loads((root / "meta/info.json").read_text())["total_episodes"]
    return 0


def files(root):
    """Every file of a folder, with its content."""
    return {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


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


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_ctrl_c_keeps_what_was_saved_and_joins_its_files(number, kit, data, recorded_dataset, until):
    command = kit.start("record", "--episodes", 8, "--out", data)
    until(lambda: saved(data) >= 2)
    command.send(number)
    result = command.wait()
    assert result.code == 128 + number
    if number == signal.SIGINT:
        result.says(130, "stopped by Ctrl-C; what was saved before is kept")
    holds(data, saved(data))
    same_episodes(data, recorded_dataset)
    assert len(list(data.glob("data/*/*"))) == 1
    assert not (data / ".saving").exists()


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


WHILE_ITS_FILES_ARE_WRITTEN = """
import pathlib
pathlib.Path.write_bytes = lambda path, data: kill()
"""
BEFORE_IT_IS_COMMITTED = """
from reachy_kit.runtime.recording import redo_log
redo_log.replace_file = lambda path, new: kill()
"""
BEFORE_ITS_FILES_MOVE = """
from reachy_kit.runtime.recording import redo_log
replace_file = redo_log.replace_file
redo_log.replace_file = lambda path, new: (replace_file(path, new), kill())
"""
WHILE_ITS_FILES_MOVE = """
import pathlib
replace = pathlib.Path.replace
pathlib.Path.replace = lambda path, target: kill() if target.name == "info.json" else replace(path, target)
"""
WHILE_ITS_RECORD_IS_REMOVED = """
import pathlib
unlink = pathlib.Path.unlink
pathlib.Path.unlink = lambda path, **options: kill() if path.name == "commit.json" else unlink(path, **options)
"""


@pytest.mark.parametrize(
    "moment, visible, kept",
    [
        pytest.param(WHILE_ITS_FILES_ARE_WRITTEN, 2, 2, id="while-its-files-are-written"),
        pytest.param(BEFORE_IT_IS_COMMITTED, 2, 2, id="before-it-is-committed", marks=pytest.mark.long),
        pytest.param(BEFORE_ITS_FILES_MOVE, 2, 3, id="before-its-files-move", marks=pytest.mark.long),
        pytest.param(WHILE_ITS_FILES_MOVE, 2, 3, id="while-its-files-move"),
        pytest.param(WHILE_ITS_RECORD_IS_REMOVED, 3, 3, id="while-its-record-is-removed", marks=pytest.mark.long),
    ],
)
def test_a_recording_killed_while_it_saves_is_resumed(moment, visible, kept, kit, data, two_episodes, recorded_dataset):
    """Readers, ours and LeRobot's, find what is visible and change nothing; the next recorder finds what is kept."""
    shutil.copytree(two_episodes, data)
    (data / "meta/NOTES.txt").write_text("mine")
    killed = kit.run("record", "--episodes", 3, "--out", data, before=KILL + moment)
    assert killed.code == -signal.SIGKILL, killed

    before = files(data)
    shows(data, visible)
    assert len(load_demonstrations(data).episodes) == visible
    assert files(data) == before
    result = kit.run("record", "--episodes", kept, "--out", data)
    assert f"already holds {kept} episodes" in result.err
    assert kit.run("record", "--episodes", 3, "--out", data).code == 0
    holds(data, 3)
    same_episodes(data, recorded_dataset)
    assert (data / "meta/NOTES.txt").read_text() == "mine"
    assert not (data / ".saving").exists()


def test_ctrl_c_waits_for_a_save_to_be_whole(kit, data, recorded_dataset):
    interrupt = """
import os, signal
from reachy_kit.dataset import lerobot_writer
write = lerobot_writer.write_episode
lerobot_writer.write_episode = lambda *arguments: (os.kill(os.getpid(), signal.SIGINT), write(*arguments))[1]
"""
    command = kit.run("record", "--episodes", 3, "--out", data, before=interrupt)
    command.says(130, "stopped by Ctrl-C")
    holds(data, 1)
    same_episodes(data, recorded_dataset)


def kills_until_finished(data, episodes, rng, kit, until, *options):
    """Kill a recording soon after each start has saved another episode; returns how often."""
    kills = 0
    while True:
        before = saved(data)
        command = kit.start("record", "--episodes", episodes, "--out", data, *options)
        until(lambda command=command, before=before: command.poll() is not None or saved(data) > before)
        with contextlib.suppress(AssertionError):
            command.wait(within=rng.uniform(0.0, 0.3))  # somewhere in an episode, or in its save
        if command.poll() is not None:
            assert command.wait().code == 0
            return kills
        command.send(signal.SIGKILL)
        command.wait()
        kills += 1
        assert saved(data) >= before


@pytest.mark.parametrize("kills", [pytest.param(5, marks=pytest.mark.long), pytest.param(50, marks=pytest.mark.soak)])
@pytest.mark.timeout(1800)
def test_a_recording_killed_again_and_again_is_finished(kills, kit, recorded_dataset, until):
    """Kills recordings of ten episodes at random moments; what was saved stays, and each is finished in the end."""
    rng, killed, recordings = random.Random(0), 0, 0
    while killed < kills:
        data = kit.folder / f"data-{recordings}"
        killed += kills_until_finished(data, 10, rng, kit, until)
        recordings += 1
        holds(data, 10)
        same_episodes(recorded_dataset, data)


@pytest.mark.parametrize(("kills", "episodes"), [(1, 3), pytest.param(50, 10, marks=pytest.mark.soak)])
@pytest.mark.timeout(1800)
def test_a_recording_with_its_camera_killed_again_and_again_loses_no_image(
    kills, episodes, kit, recorded_dataset, until
):
    rng, killed, recordings = random.Random(1), 0, 0
    while killed < kills:
        data = kit.folder / f"data-{recordings}"
        killed += kills_until_finished(data, episodes, rng, kit, until, "--camera")
        recordings += 1
        holds(data, episodes)
        same_episodes(*sorted((data, recorded_dataset), key=saved))
        dataset = lerobot_dataset(data)
        for episode in dataset.meta.episodes:
            dataset[episode["dataset_to_index"] - 1][IMAGE]
        assert sum(frames_of(path) for path in data.glob("videos/**/*.mp4")) == dataset.meta.total_frames
        assert not (data / ".saving").exists()


def frames_of(path):
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


# --- full disks --------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(kit):
    """A disk of 700 kB that can grow."""
    disk = kit.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_disk_without_room_for_a_minute_is_refused_before_anything_moves(kit, small_disk):
    kit.run("record", "--camera", "--out", small_disk / "data").says(4, "takes about", "Make room")
    assert not (small_disk / "data").exists()


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
        pytest.param("reachy_kit.runtime.recording.redo_log", "sync", marks=pytest.mark.long),
        pytest.param("pathlib.Path", "write_text", marks=pytest.mark.long),
        ("pathlib.Path", "write_bytes"),
    ],
)
def test_a_disk_that_fills_up_during_a_save_leaves_no_half_episode(owner, function, kit, data, two_episodes):
    shutil.copytree(two_episodes, data)
    full = f"""
import errno, pkgutil
from reachy_kit.dataset import lerobot_writer
owner = pkgutil.resolve_name("{owner}")
write = lerobot_writer.write_episode
def full(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")
def write_on_full_disk(*arguments):
    owner.{function} = full
    return write(*arguments)
lerobot_writer.write_episode = write_on_full_disk
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
    recorder.on_step(Step(0, observation, NEUTRAL, None, observation, NEUTRAL))
    recorder.on_episode_end(Episode(2, 1, None, None, None, zero, zero, end_reason=reason))
    assert recorder.episodes == 2
    holds(data, 2)


# --- the robot's own files ---------------------------------------------------------------------------------------


class Both:
    """A sink that passes episodes on to two sinks."""

    def __init__(self, first, second):
        self.sinks, self.layout, self.episodes = (first, second), first.layout, 0

    video_file = None

    def write(self, frames, labels, video=None):
        for sink in self.sinks:
            sink.write(frames, labels)


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
        recorder.on_step(Step(index, observation, rng.normal(size=9), None, observation, NEUTRAL))
    recorder.on_episode_end(Episode(seed, count, None, None, None, zero, zero))


def pixels(root):
    images = []
    for path in sorted(root.glob("videos/**/*.mp4")):
        with av.open(path) as video:
            images += [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    return np.stack(images)


def test_episode_files_become_the_dataset_that_would_have_been_recorded(tmp_path):
    layout = DatasetLayout("look_at", "Look.", ("right", "below"), ("rad", "rad"), 25, (48, 64, 3))
    direct, copied, imported = tmp_path / "direct", tmp_path / "files", tmp_path / "imported"
    with LeRobotWriter(direct, layout) as writer:
        sink = Both(writer, EpisodeFiles(copied, layout))
        for seed in range(2):
            record_random(sink, seed, count=6 + seed)
        assert import_episodes(copied, imported) == 2
        record_random(sink, 2, count=5)
    assert import_episodes(copied, imported) == 3  # only the new one is added
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


def video_frames(root):
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
    assert video_frames(data) == dataset.meta.total_frames
    middle = dataset[100][IMAGE]
    assert tuple(middle.shape) == (3, 180, 320)
    assert 0.2 < float(middle.mean()) < 0.9
