"""Saving into a LeRobot dataset: alone or beside readers, killed anywhere, into any folder."""

import contextlib
import json
import shutil
import subprocess

import pytest

from reachy_kit.dataset.episode_import import import_episodes
from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.recording.episode_files import EpisodeFiles
from reachy_kit.runtime.recording.schema import (
    SEED,
)
from reachy_kit.runtime.seeds import recording_seeds
from reachy_policies.data.demonstrations import load_demonstrations

from ..forked import in_a_child
from .saved_episodes import (
    CAMERA,
    HEIGHT,
    LABELS,
    STATE,
    WIDTH,
    episode,
    files,
    killed_at,
    lerobot_dataset,
    numbered,
    require_episodes,
    save_without_joining,
    write,
)

# --- readers beside a recorder ----------------------------------------------------------------------------------------


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
    kit.run("record", "--episodes", 6, "--out", data).says(
        4, f"recorded into by process {command.pid}", "another folder"
    )
    assert command.wait().code == 0
    assert len(load_demonstrations(data).episodes) == 6


def test_a_reader_of_videos_keeps_its_files_until_it_is_gone(tmp_path):
    from reachy_policies.data.recorded_videos import RecordedVideos

    root = tmp_path / "data"
    with LeRobotWriter(root, CAMERA) as writer:
        writer.write(episode(0, CAMERA), LABELS)
        writer.write(episode(1, CAMERA), LABELS)
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


# --- killed -----------------------------------------------------------------------------------------------------------

EVERYWHERE = [
    pytest.param([2, 8, 14], id="some"),
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
                writer.write(episode(index), LABELS)
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
                writer.write(episode(index, CAMERA), LABELS)
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


@pytest.mark.parametrize(
    "record",
    [
        {"moves": [["0.json", "../outside.json"]], "removed": []},
        {"moves": [], "removed": ["../NOTES.txt"]},
        {"moves": [], "removed": ["NOTES.txt"]},
        {"moves": [], "removed": ["OUTSIDE/NOTES.txt"]},
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
    (root / ".saving/commit.json").write_text(json.dumps(record).replace("OUTSIDE", str(tmp_path)))
    before = files(tmp_path)
    with pytest.raises(RefusedError, match=r"commit\.json is damaged .*Delete it"):
        LeRobotWriter(root, STATE)
    assert files(tmp_path) == before


# --- into any folder --------------------------------------------------------------------------------------------------


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
        w.write(episode(0), LABELS)
        shutil.rmtree(root)
        w.write(episode(1), LABELS)
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


# --- seeds ------------------------------------------------------------------------------------------------------------


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
        sink.write(episode(index, CAMERA), LABELS)
    for number in (4, 9, 14, 25, 40):
        killed_at(number, lambda: import_episodes(source, root))
    assert import_episodes(source, root) == 3
    require_episodes(root, 3, CAMERA)
