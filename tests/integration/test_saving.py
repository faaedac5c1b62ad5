"""Saving into a LeRobot dataset: alone or beside readers, killed anywhere, into any folder, in LeRobot's own format."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback

import av
import numpy as np
import pytest
from pyarrow import parquet

from reachy_kit.dataset.episode_import import import_episodes
from reachy_kit.dataset.lerobot_features import lerobot_features
from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.recording.episode_files import EpisodeFiles
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.schema import (
    ACTION,
    CAPTURE_TIME,
    IMAGE,
    IMAGE_TIME,
    OBS_ENV_STATE,
    OBS_LAST_ACTION,
    OBS_STATE,
    REWARD,
    SEED,
    SUCCESS,
)
from reachy_kit.runtime.seeds import recording_seeds
from reachy_policies.data.demonstrations import load_demonstrations

HEIGHT, WIDTH = 48, 64
STATE = DatasetLayout("look_at", "Look.", ("right", "below"), ("rad", "rad"), 25)
CAMERA = DatasetLayout("look_at", "Look.", ("right", "below"), ("rad", "rad"), 25, (HEIGHT, WIDTH, 3))
LENGTHS = 7, 20, 3, 12, 9


def episode(index, layout=STATE):
    """Frames of an episode: random numbers, and images whose brightness tells episode and frame."""
    rng = np.random.default_rng(index)
    frames = []
    for step in range(LENGTHS[index % len(LENGTHS)]):
        frame = {key: rng.normal(0, 0.01, 9).astype(np.float32) for key in (OBS_STATE, OBS_LAST_ACTION, ACTION)}
        frame[OBS_ENV_STATE] = rng.normal(0, 0.01, 2).astype(np.float32)
        frame[REWARD], frame[SUCCESS] = np.array([0.5], np.float32), np.array([step > 1])
        frame[CAPTURE_TIME], frame[SEED] = np.array([step / 25]), np.array([1_000_000 + index])
        if layout.image_shape:
            frame[IMAGE] = np.full((HEIGHT, WIDTH, 3), brightness(index, step), dtype=np.uint8)
            frame[IMAGE_TIME] = np.array([step / 25])
        frames.append(frame)
    return frames


def brightness(index, step):
    return (40 * index + 9 * step) % 200 + 20


def write(root, indices, layout=STATE):
    """Save episodes in one session."""
    with LeRobotWriter(root, layout) as writer:
        for index in indices:
            writer.write(episode(index, layout))


def lerobot_dataset(root, **options):
    """The dataset as LeRobot itself reads it."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset(f"local/{root.name}", root=root, video_backend="pyav", **options)


def require_episodes(root, count, layout=STATE):
    """LeRobot reads that many of the episodes that `episode` makes, each of their frames with its own image."""
    dataset = lerobot_dataset(root)
    assert dataset.num_episodes == count
    wanted = [(index, step, frame) for index in range(count) for step, frame in enumerate(episode(index, layout))]
    assert len(dataset) == len(wanted)
    for row, (index, step, frame) in enumerate(wanted):
        item = dataset[row]
        assert (item["episode_index"], item["frame_index"], item["index"]) == (index, step, row)
        np.testing.assert_array_equal(item[ACTION], frame[ACTION])
        if layout.image_shape:
            assert abs(float(item[IMAGE].mean()) * 255 - brightness(index, step)) < 3, (index, step)


def files(root):
    """Every file of a folder, with its content."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def numbered(root, folder):
    return sorted(path.name for path in (root / folder).rglob("file-*"))


def in_a_child(work):
    """Do some work in a forked process; returns its exit code, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at(number, work):
    """Work in a process that is killed just before it changes the disk for the nth time; whether it came so far."""

    def until_killed():
        changes = 0

        def count(event, arguments):
            nonlocal changes
            opened = event == "open" and isinstance(arguments[1], str) and arguments[1][:1] in "wxa"
            if opened or event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}:
                changes += 1
                if changes > number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()

    code = in_a_child(until_killed)
    assert code in (0, -signal.SIGKILL)
    return code != 0


# --- readers beside a recorder -----------------------------------------------------------------------------------


@pytest.mark.parametrize("episodes", [8, pytest.param(30, marks=pytest.mark.long)])
def test_reading_again_and_again_beside_a_recording_costs_no_episode(episodes, kit):
    data = kit.folder / "data"
    command, counts = kit.start("record", "--episodes", episodes, "--out", data), []
    while command.poll() is None:
        with contextlib.suppress(WrongUseError):  # it has fewer than two episodes yet
            counts.append(len(load_demonstrations(data).episodes))
    assert command.wait().code == 0
    assert counts == sorted(counts) and len(set(counts)) > 2
    assert len(load_demonstrations(data).episodes) == episodes
    assert sorted(set(open_for_reading(data).column(SEED))) == list(recording_seeds(0)[:episodes])


def test_a_second_recorder_is_refused_at_once_and_the_first_one_finishes(kit, until):
    data = kit.folder / "data"
    command = kit.start("record", "--episodes", 6, "--out", data)
    until((data / "meta/info.json").exists)
    kit.run("record", "--episodes", 6, "--out", data).says(4, f"recorded into by process {command.pid}", "--out")
    assert command.wait().code == 0
    assert len(load_demonstrations(data).episodes) == 6


def test_a_reader_of_videos_keeps_its_files_until_it_is_gone(tmp_path):
    from reachy_policies.data.recorded_videos import RecordedVideos

    root = tmp_path / "data"
    with LeRobotWriter(root, CAMERA) as writer:
        writer.write(episode(0, CAMERA))
        writer.write(episode(1, CAMERA))
        videos = RecordedVideos(root)
    assert len(numbered(root, "videos")) == 2
    assert videos.decode(1, range(3)).shape == (3, 3, HEIGHT, WIDTH)
    del videos
    write(root, [], CAMERA)
    assert len(numbered(root, "videos")) == 1


def test_saving_leaves_no_copy_in_a_cache(kit):
    cache = kit.folder / "cache"
    before = f"import datasets; datasets.config.HF_DATASETS_CACHE = {str(cache)!r}"
    assert kit.run("record", "--episodes", 3, "--out", "data", before=before).code == 0
    assert not cache.exists()


# --- killed ------------------------------------------------------------------------------------------------------

EVERYWHERE = [
    pytest.param([2, 5, 8, 11, 14], id="some"),
    pytest.param(range(60), marks=pytest.mark.soak, id="all"),
]


@pytest.mark.parametrize("moments", EVERYWHERE)
def test_a_dataset_is_begun_or_not_wherever_its_recorder_is_killed(moments, tmp_path):
    for number in moments:
        root = tmp_path / f"data-{number}"
        if not killed_at(number, lambda root=root: write(root, [0])):
            break
        with LeRobotWriter(root, STATE) as writer:
            for index in range(writer.episodes, 1):
                writer.write(episode(index))
        require_episodes(root, 1)


@pytest.mark.parametrize("moments", EVERYWHERE)
def test_a_save_is_whole_or_absent_wherever_it_is_killed(moments, tmp_path):
    """LeRobot and our own reader find two episodes or three, the next recorder too, and files of others stay."""
    whole = tmp_path / "whole"
    write(whole, [0, 1], CAMERA)
    notes = ("NOTES.txt", "meta/NOTES.txt", "data/chunk-000/NOTES.txt", ".saving/NOTES.txt")
    for number in moments:
        root = tmp_path / f"data-{number}"
        shutil.copytree(whole, root)
        (root / ".saving").mkdir()
        for note in notes:
            (root / note).write_text("mine")
        if not killed_at(number, lambda root=root: save_without_joining(root, [2])):
            break
        found = files(root)
        count = len(open_for_reading(root).episodes)
        assert count in (2, 3)
        require_episodes(root, count, CAMERA)
        assert files(root) == found
        with LeRobotWriter(root, CAMERA) as writer:
            assert writer.episodes >= count
            for index in range(writer.episodes, 3):
                writer.write(episode(index, CAMERA))
        require_episodes(root, 3, CAMERA)
        assert [(root / note).read_text() for note in notes] == ["mine"] * len(notes)


@pytest.mark.parametrize("moments", EVERYWHERE)
def test_the_files_are_joined_or_not_wherever_that_is_killed(moments, tmp_path):
    """LeRobot reads all episodes at each moment; our own reader too, or it names the command that completes it."""
    small = tmp_path / "small"
    assert in_a_child(lambda: save_without_joining(small, range(3))) == 0
    for number in moments:
        root = tmp_path / f"data-{number}"
        shutil.copytree(small, root)
        if not killed_at(number, lambda root=root: write(root, [], CAMERA)):
            break
        require_episodes(root, 3, CAMERA)
        try:
            assert len(open_for_reading(root).episodes) == 3
        except RefusedError as error:
            assert "record --task look_at --hz 25 --camera --episodes 1" in str(error)
        write(root, [], CAMERA)
        require_episodes(root, 3, CAMERA)
        assert len(numbered(root, "data")) == len(numbered(root, "videos")) == 1


def save_without_joining(root, indices, layout=CAMERA):
    """Save episodes in a process that ends there."""
    writer = LeRobotWriter(root, layout)
    for index in indices:
        writer.write(episode(index, layout))
    os._exit(0)


@pytest.mark.parametrize(
    "record",
    [
        {"moves": [["0.json", "../outside.json"]], "removed": []},
        {"moves": [], "removed": ["../NOTES.txt"]},
        {"moves": [], "removed": ["NOTES.txt"]},
        {"moves": [], "removed": ["/etc/hostname"]},
        {"moves": [["../NOTES.txt", "meta/info.json"]], "removed": []},
        {},
    ],
)
def test_a_log_that_names_files_of_others_is_refused(record, tmp_path):
    root = tmp_path / "data"
    write(root, [0])
    for notes in (tmp_path / "NOTES.txt", root / "NOTES.txt"):
        notes.write_text("mine")
    (root / ".saving").mkdir()
    (root / ".saving/commit.json").write_text(json.dumps(record))
    before = files(tmp_path)
    with pytest.raises(RefusedError, match=r"commit\.json is damaged .*Delete it"):
        LeRobotWriter(root, STATE)
    assert files(tmp_path) == before


# --- into any folder ---------------------------------------------------------------------------------------------


def empty_folder(folder):
    (folder / "data").mkdir()


def desktop_folder(folder):
    (folder / "data").mkdir()
    (folder / "data/.DS_Store").write_bytes(b"\0")


def symlink(folder):
    (folder / "elsewhere").mkdir()
    (folder / "data").symlink_to(folder / "elsewhere")


def unfinished_start(folder):
    (folder / "data/.saving").mkdir(parents=True)
    (folder / "data/meta").mkdir()
    (folder / "data/.saving/0.json").write_text("{")


@pytest.mark.parametrize("prepare", [empty_folder, desktop_folder, symlink, unfinished_start])
def test_a_folder_without_files_is_recorded_into(prepare, tmp_path):
    prepare(tmp_path)
    write(tmp_path / "data", [0, 1])
    write(tmp_path / "data", [2])
    require_episodes(tmp_path / "data", 3)
    assert (tmp_path / "data").is_symlink() == (prepare is symlink)


def test_the_current_folder_and_a_mount_point_are_recorded_into(kit):
    here, disk = kit.folder / "here", kit.folder / "disk"
    here.mkdir()
    disk.mkdir()
    before = f"import os; os.chdir({str(here)!r})"
    assert kit.run("record", "--episodes", 1, "--out", ".", before=before).code == 0
    assert len(open_for_reading(here).episodes) == 1
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=True)
    try:
        (disk / "lost+found").mkdir()
        assert kit.run("record", "--episodes", 1, "--out", disk).code == 0
        assert len(open_for_reading(disk).episodes) == 1
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_folder_of_something_else_is_refused_before_anything_is_loaded_and_left_alone(kit):
    (kit.folder / "data").mkdir()
    (kit.folder / "data/diary.txt").write_text("mine")
    before = files(kit.folder / "data")
    result = kit.run("record", "--out", "data")
    result.says(2, "is not a reachy-kit dataset")
    assert "opening the dataset" not in result.err
    assert files(kit.folder / "data") == before


@pytest.mark.parametrize("folder", ["data", "meta/episodes", "videos"])
def test_a_dataset_that_lacks_a_file_is_not_recorded_into(folder, tmp_path):
    root = tmp_path / "data"
    write(root, [0, 1], CAMERA)
    next((root / folder).rglob("file-000.*")).unlink()
    before = files(root)
    with pytest.raises(RefusedError, match=r"missing|lacks"):
        LeRobotWriter(root, CAMERA)
    assert files(root) == before


def test_a_folder_that_disappears_during_a_recording_is_named(tmp_path):
    root = tmp_path / "data"
    with (
        pytest.raises(KitError, match="was deleted or moved while it was recorded into"),
        LeRobotWriter(root, STATE) as w,
    ):
        w.write(episode(0))
        shutil.rmtree(root)
        w.write(episode(1))
    assert not root.exists()


def test_a_read_only_folder_is_read_and_not_recorded_into(tmp_path):
    root, shown = tmp_path / "data", tmp_path / "shown"
    write(root, [0, 1])
    shown.mkdir()
    subprocess.run(["mount", "--bind", root, shown], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", shown], check=True)
    try:
        assert len(load_demonstrations(shown).episodes) == 2
        with pytest.raises(KitError, match=r"cannot be written .*Read-only.* Its 2 episodes are kept"):
            LeRobotWriter(shown, STATE)
    finally:
        subprocess.run(["umount", shown], check=True)


# --- small files are joined --------------------------------------------------------------------------------------


def test_joined_videos_show_each_frame_at_its_time(tmp_path):
    write(tmp_path / "it's data", range(5), CAMERA)
    assert numbered(tmp_path / "it's data", ".") == ["file-000.mp4", "file-000.parquet", "file-000.parquet"]
    require_episodes(tmp_path / "it's data", 5, CAMERA)


def test_files_are_joined_up_to_the_sizes_in_the_metadata(tmp_path):
    root = tmp_path / "data"
    save_in_a_child = in_a_child(lambda: save_without_joining(root, range(8)))
    assert save_in_a_child == 0
    sizes = [path.stat().st_size for path in sorted(root.glob("data/*/*"))]
    info = root / "meta/info.json"
    limits = {"data_files_size_in_mb": 2.5 * max(sizes) / 2**20, "video_files_size_in_mb": 3500 / 2**20}
    info.write_text(json.dumps(json.loads(info.read_text()) | limits))
    write(root, [], CAMERA)
    require_episodes(root, 8, CAMERA)
    for folder, limit in (("data", limits["data_files_size_in_mb"]), ("videos", limits["video_files_size_in_mb"])):
        paths = sorted(path for path in (root / folder).rglob("file-*"))
        assert 1 < len(paths) < 8
        joined = [path.stat().st_size / 2**20 for path in paths]
        assert all(size <= limit for size in joined)
    write(root, [8], CAMERA)
    require_episodes(root, 9, CAMERA)


def test_a_file_that_no_episode_names_is_not_joined(tmp_path):
    """A copy made while an episode was saved can hold one."""
    root = tmp_path / "data"
    assert in_a_child(lambda: save_without_joining(root, range(2))) == 0
    _, second = sorted(root.glob("data/*/*"))
    stray = second.with_name("file-002.parquet")
    stray.write_bytes(second.read_bytes())
    write(root, [2, 3], CAMERA)
    stray.unlink()
    require_episodes(root, 4, CAMERA)


def test_files_that_are_joined_already_are_not_written_again(tmp_path):
    root = tmp_path / "data"
    write(root, range(3))
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    write(root, [])
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_a_disk_that_is_full_when_the_files_are_joined_keeps_all_episodes(kit):
    full = """
import errno
from reachy_kit.dataset.saving import file_joining
def write_parquet(path, tables):
    raise OSError(errno.ENOSPC, "No space left on device")
file_joining.write_parquet = write_parquet
"""
    result = kit.run("record", "--episodes", 2, "--out", "data", before=full)
    result.says(1, "files could not be joined", "No space left", "Its 2 episodes are kept", "make room")
    assert len(open_for_reading(kit.folder / "data").episodes) == 2
    assert not (kit.folder / "data/.saving").exists()
    assert kit.run("record", "--episodes", 2, "--out", "data").code == 0
    assert numbered(kit.folder / "data", "data") == ["file-000.parquet"]


def test_a_recording_made_in_two_sessions_equals_one_made_in_a_single_one(tmp_path):
    write(tmp_path / "one", range(5), CAMERA)
    write(tmp_path / "two", range(2), CAMERA)
    write(tmp_path / "two", range(2, 5), CAMERA)
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    same = [name for name in one if name.startswith("data/") or name.endswith((".json", "tasks.parquet"))]
    assert len(same) == 5 and one.keys() == two.keys()
    assert {name: one[name] for name in same} == {name: two[name] for name in same}
    require_episodes(tmp_path / "two", 5, CAMERA)


# --- in LeRobot's own format -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same episodes, saved by us and by LeRobot."""
    from lerobot.configs import RGBEncoderConfig
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    folder = tmp_path_factory.mktemp("both")
    write(folder / "ours", range(5), CAMERA)
    encoder = RGBEncoderConfig(vcodec="h264", preset="ultrafast")
    options = {"robot_type": "reachy_mini", "video_backend": "pyav", "rgb_encoder": encoder}
    dataset = LeRobotDataset.create("a/b", 25, lerobot_features(CAMERA), root=folder / "theirs", **options)
    for index in range(5):
        for frame in episode(index, CAMERA):
            dataset.add_frame({"task": CAMERA.instruction, **frame})
        dataset.save_episode()
    dataset.finalize()
    return folder / "ours", folder / "theirs"


def test_the_metadata_is_what_lerobot_writes(both):
    ours, theirs = both
    assert (ours / "meta/info.json").read_text() == (theirs / "meta/info.json").read_text()
    mine, other = (json.loads((root / "meta/stats.json").read_text()) for root in both)
    assert mine.keys() == other.keys()
    for key in mine:
        assert mine[key].keys() == other[key].keys()
        for name in mine[key]:
            np.testing.assert_allclose(mine[key][name], other[key][name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("folder", ["data", "meta/episodes", "meta"])
def test_the_tables_are_what_lerobot_writes(folder, both):
    mine, other = (parquet.read_table(next((root / folder).glob("**/*.parquet"))) for root in both)
    assert mine.schema.equals(other.schema)
    features = [dict(table.schema.metadata or {}) for table in (mine, other)]
    for metadata in features:  # LeRobot adds a random number
        if b"huggingface" in metadata:
            metadata[b"huggingface"] = json.loads(metadata[b"huggingface"])["info"]
    assert features[0] == features[1]
    for column in mine.column_names:
        values = [table[column].to_pylist() for table in (mine, other)]
        assert values[0] == pytest.approx(values[1]) if column.endswith("timestamp") else values[0] == values[1], column


def test_the_videos_are_what_lerobot_writes(both):
    pixels = []
    for root in both:
        with av.open(next(root.glob("videos/**/*.mp4"))) as video:
            pixels.append([(frame.pts, frame.to_ndarray(format="rgb24").tobytes()) for frame in video.decode(video=0)])
    assert pixels[0] == pixels[1]


def test_lerobot_continues_and_edits_our_datasets(both, tmp_path):
    from lerobot.configs import RGBEncoderConfig
    from lerobot.datasets.dataset_tools import delete_episodes, merge_datasets
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    root = tmp_path / "data"
    shutil.copytree(both[0], root)
    encoder = RGBEncoderConfig(vcodec="h264", preset="ultrafast")
    dataset = LeRobotDataset.resume("a/b", root=root, video_backend="pyav", rgb_encoder=encoder)
    for frame in episode(5, CAMERA):
        dataset.add_frame({"task": CAMERA.instruction, **frame})
    dataset.save_episode()
    dataset.finalize()
    require_episodes(root, 6, CAMERA)
    write(root, [6], CAMERA)
    require_episodes(root, 7, CAMERA)
    shorter = delete_episodes(lerobot_dataset(root), [5, 6], output_dir=tmp_path / "shorter", repo_id="a/shorter")
    assert shorter.num_episodes == 5
    merged = merge_datasets([lerobot_dataset(root), shorter], "a/merged", output_dir=tmp_path / "merged")
    assert merged.num_episodes == 12


# --- seeds -------------------------------------------------------------------------------------------------------


def test_after_a_delete_a_recording_continues_with_seeds_of_its_own(kit, recorded_dataset):
    from lerobot.datasets.dataset_tools import delete_episodes

    data, first = kit.folder / "data", recording_seeds(0).start
    delete_episodes(lerobot_dataset(recorded_dataset), [2, 5], output_dir=data, repo_id="local/data")
    shutil.copy(recorded_dataset / "meta/reachy_kit.json", data / "meta/reachy_kit.json")
    assert kit.run("record", "--episodes", 8, "--out", data).code == 0
    stored = open_for_reading(data)
    starts = [int(stored.read(entry.table, SEED)[entry.index][SEED][0]) - first for entry in stored.episodes]
    assert starts == [0, 1, 3, 4, 6, 7, 8, 9]


def test_a_recording_is_not_continued_with_another_seed(kit, recorded_dataset):
    shutil.copytree(recorded_dataset, kit.folder / "data")
    result = kit.run("record", "--episodes", 9, "--seed", 1, "--out", "data")
    result.says(2, "holds no episode of --seed 1", "1000000 to 1000007", "Continue it with --seed 0")
    assert len(open_for_reading(kit.folder / "data").episodes) == 8


def test_an_import_continues_where_it_was_killed(tmp_path):
    source, root = tmp_path / "files", tmp_path / "data"
    sink = EpisodeFiles(source, CAMERA)
    for index in range(3):
        sink.write(episode(index, CAMERA))
    for number in (4, 9, 14, 25, 40):
        killed_at(number, lambda: import_episodes(source, root))
    assert import_episodes(source, root) == 3
    require_episodes(root, 3, CAMERA)
