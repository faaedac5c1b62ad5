"""Edits of datasets: what LeRobot reads afterwards, what stays, and that nothing is ever lost."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from reachy_kit.dataset import folder_locks
from reachy_kit.dataset.care import folder_swap
from reachy_kit.dataset.dataset_index import read_table
from reachy_kit.dataset.folder_locks import locked
from reachy_kit.dataset.lerobot_writer import LeRobotWriter
from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.dataset.recording_folder import sole_recorder
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.recording.layout import read_layout, write_layout
from reachy_kit.runtime.recording.schema import ACTION, CAPTURE_TIME, IMAGE, OBS_STATE, OPERATOR, SEED, SUCCESS_MARK
from reachy_kit.workflows.datasets.dataset_care import (
    drop_episodes,
    merge_datasets,
    read_episodes,
    relabel_episodes,
    split_dataset,
)
from reachy_kit.workflows.datasets.dataset_forgetting import forget_person
from reachy_kit.workflows.datasets.trimming import trim_episodes

from .saved_episodes import CAMERA, LABELS, LENGTHS, STATE, episode, killed_at, lerobot_dataset, write

OWL, FOX = "night-owl", "red-fox"
"""Pseudonyms of operators."""


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    write(folder / "state", range(5))
    write(folder / "camera", range(5), CAMERA)
    with LeRobotWriter(folder / "people", CAMERA) as writer:
        for index, person in enumerate((OWL, FOX, OWL, "")):
            frames = episode(index, CAMERA)
            for frame in frames:
                frame[OPERATOR] = np.array([person])
            writer.write(frames, LABELS)
    return folder


@pytest.fixture
def data(originals, tmp_path):
    def copy(name="camera"):
        root = shutil.copytree(originals / name, tmp_path / f"{name} data")
        (root / "NOTES.txt").write_text("mine")
        return root

    return copy


def holds(root, expected, first=None):
    """LeRobot reads these episodes, given by the number each was made of; each frame with its numbers and its image.

    Args:
        root: the dataset's folder.
        expected: number of each episode.
        first: number of frames that were cut off at the start, by episode.
    """
    dataset, row = lerobot_dataset(root), 0
    assert dataset.num_episodes == len(expected)
    assert json.loads((root / "meta/info.json").read_text())["total_frames"] == len(dataset)
    for place, index in enumerate(expected):
        frames = episode(index, CAMERA)[(first or {}).get(place, 0) :]
        length = int(dataset.meta.episodes[place]["length"])
        for step, frame in enumerate(frames[:length]):
            item = dataset[row]
            assert (int(item["episode_index"]), int(item["frame_index"]), int(item["index"])) == (place, step, row)
            np.testing.assert_array_equal(item[ACTION].numpy(), frame[ACTION])
            assert int(item[SEED]) == int(frame[SEED][0])
            assert float(item["timestamp"]) == pytest.approx(step / 25)
            if IMAGE in item:
                wanted = frame[IMAGE].mean()
                assert 255 * float(item[IMAGE].mean()) == pytest.approx(wanted, abs=4), (place, step)
            row += 1
    assert row == len(dataset)


def continues(root, count, layout=CAMERA):
    """The recorder adds an episode."""
    with LeRobotWriter(root, layout) as writer:
        assert writer.episodes == count
        writer.write(episode(11, layout), LABELS)
    assert len(open_for_reading(root).episodes) == count + 1


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", ["state", "camera"])
def test_dropped_episodes_are_gone_and_the_others_stay_as_they_were(name, data):
    root = data(name)
    layout, edited = read_layout(root), drop_episodes(root, [1, 3])
    assert (edited.episodes, edited.frames, edited.changed) == (3, 7 + 3 + 9, (1, 3))
    holds(root, [0, 2, 4])
    assert read_layout(root) == layout
    assert (root / "NOTES.txt").read_text() == "mine"
    continues(root, 3, CAMERA if name == "camera" else STATE)


def test_the_video_of_whole_episodes_is_not_encoded_again(data):
    import av

    def packets(root):
        (video,) = root.glob("videos/**/*.mp4")
        with av.open(str(video)) as container:
            return [bytes(packet) for packet in container.demux(video=0) if packet.size]

    root = data()
    before = packets(root)
    drop_episodes(root, [0])
    assert packets(root) == before[LENGTHS[0] :]


def test_statistics_after_an_edit_are_those_of_the_frames(data):
    root = data()
    drop_episodes(root, [1])
    stats = json.loads((root / "meta/stats.json").read_text())
    actions = open_for_reading(root).column(ACTION)
    np.testing.assert_allclose(stats[ACTION]["mean"], actions.mean(0), atol=1e-6)
    np.testing.assert_allclose(stats[ACTION]["max"], actions.max(0), atol=1e-6)
    assert stats[ACTION]["count"] == [len(actions)]
    assert stats["episode_index"]["max"] == [3]


def test_an_episode_is_cut_by_seconds(data):
    root = data()
    edited = trim_episodes(root, [1], start=5 / 25, end=3 / 25)
    assert (edited.changed, edited.frames) == ((1,), sum(LENGTHS) - 8)
    holds(root, [0, 1, 2, 3, 4], first={1: 5})
    times = open_for_reading(root).column(CAPTURE_TIME)[LENGTHS[0] :][:12]
    np.testing.assert_allclose(times, np.arange(12) / 25)
    continues(root, 5)


def test_dead_time_at_both_ends_is_cut(tmp_path):
    pose = np.zeros(9, dtype=np.float32)
    frames = episode(1)[:1] * 100
    frames = [dict(frame) for frame in frames]
    for step, frame in enumerate(frames):
        frame[ACTION] = pose + np.float32(0.02 * min(max(step - 20, 0), 10))
        frame[CAPTURE_TIME] = np.array([step / 25])
    with LeRobotWriter(tmp_path / "data", STATE) as writer:
        writer.write(frames, LABELS)
    assert trim_episodes(tmp_path / "data").changed == (0,)
    kept = open_for_reading(tmp_path / "data").column(ACTION)[:, 0]
    assert len(kept) == 5 + 10 - 1 + 25, "0.2 s before the first motion, 1 s after the last one"
    assert np.argmax(kept > 0) == 5


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda root: drop_episodes(root, [7, 9]), "has no episodes 7, 9; its episodes are 0 to 4"),
        (lambda root: drop_episodes(root, range(5)), "none of the 5 episodes"),
        (lambda root: trim_episodes(root, [2], start=1.0), "episode 2 .* lasts 0.12 s: nothing would be left"),
        (lambda root: trim_episodes(root, start=-1.0), "0 or more"),
        (lambda root: trim_episodes(root, start=float("nan")), "0 or more"),
        (lambda root: trim_episodes(root, end=float("inf")), "0 or more"),
        (relabel_episodes, "nothing to change"),
        (lambda root: relabel_episodes(root, instruction=" "), "--instruction is empty"),
        (lambda root: merge_datasets([root], root.with_name("new")), "two datasets or more"),
        (lambda root: drop_episodes(root, [0], root), "exists. Choose another folder"),
        (lambda root: split_dataset(root, {"a": 0.5, "b": [0]}, root.with_name("new")), "episode 0 would be in b"),
        (lambda root: split_dataset(root, {"a": 0.9, "b": 0.9}, root.with_name("new")), "would be|add up|none of"),
        (lambda root: split_dataset(root, {"../a": 0.9}, root.with_name("new")), "is not a name"),
        (lambda root: drop_episodes(root / "data", [0]), "a part of one. Give the whole folder"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(edit, words, data):
    root = data()
    before = contents(root.parent)
    with pytest.raises(WrongUseError, match=words):
        edit(root)
    assert contents(root.parent) == before


def test_words_and_marks_of_some_episodes(data):
    root = data()
    relabel_episodes(root, [1, 2], instruction="Look at me.", success=True)
    dataset = open_for_reading(root)
    assert [entry.instruction for entry in dataset.episodes] == ["Look."] + ["Look at me."] * 2 + ["Look."] * 2
    marks = {
        entry.index: set(dataset.read(entry.table, SUCCESS_MARK)[entry.index][SUCCESS_MARK])
        for entry in dataset.episodes
    }
    assert marks == {0: {-1}, 1: {1}, 2: {1}, 3: {-1}, 4: {-1}}
    read = lerobot_dataset(root)
    assert [read[row]["task"] for row in (0, LENGTHS[0])] == ["Look.", "Look at me."]
    holds(root, range(5))


def test_a_cut_episodes_images_have_its_own_statistics(tmp_path):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    numbers = {"dtype": "float32", "shape": (9,), "names": list(ACTION_NAMES)}
    features = {OBS_STATE: numbers, ACTION: numbers}
    features[IMAGE] = {"dtype": "image", "shape": (32, 32, 3), "names": ["height", "width", "channels"]}
    root = tmp_path / "theirs"
    dataset = LeRobotDataset.create("me/theirs", 10, features, root=root, robot_type="reachy_mini", use_videos=False)
    for _ in range(2):
        for step in range(10):
            pose = np.full(9, 0.01 * step, np.float32)
            image = np.full((32, 32, 3), 25 * step, np.uint8)
            dataset.add_frame({"task": "Look.", OBS_STATE: pose, ACTION: pose, IMAGE: image})
        dataset.save_episode()
    dataset.finalize()
    (root / "images/mine").mkdir(parents=True)
    (root / "images/mine/chart.png").write_bytes(b"mine")
    (root / f"images/{IMAGE}").mkdir(exist_ok=True)
    (root / f"images/{IMAGE}/left-over.png").write_bytes(b"of LeRobot's recorder")
    trim_episodes(root, [0], start=0.5)
    meta = lerobot_dataset(root).meta
    assert np.ravel(meta.stats[IMAGE]["max"])[0] == pytest.approx(225 / 255, abs=0.01)
    assert np.ravel(meta.stats[IMAGE]["mean"])[0] == pytest.approx((5 * 175 + 10 * 112.5) / 15 / 255, abs=0.01)
    (rows,) = root.glob("meta/episodes/*/*.parquet")
    least = read_table(rows, [f"stats/{IMAGE}/min"])[0].to_pylist()
    assert [np.ravel(of_episode)[0] for of_episode in least] == pytest.approx([125 / 255, 0], abs=0.01)
    assert [path.name for path in (root / "images").iterdir()] == ["mine"]
    assert (root / "images/mine/chart.png").read_bytes() == b"mine"


def test_merged_and_split_datasets(originals, tmp_path):
    camera = originals / "camera"
    parts = split_dataset(camera, {"train": 0.6, "test": [4, 3]}, tmp_path / "parts")
    holds(tmp_path / "parts/train", [0, 1, 2])
    holds(tmp_path / "parts/test", [3, 4])
    assert [part.episodes for part in parts.values()] == [3, 2]
    merged = merge_datasets([tmp_path / "parts/test", tmp_path / "parts/train"], tmp_path / "merged")
    assert merged.episodes == 5
    holds(tmp_path / "merged", [3, 4, 0, 1, 2])
    assert read_layout(tmp_path / "merged").provenance["merged from"] == "test, train"
    continues(tmp_path / "merged", 5)


def test_datasets_of_other_columns_are_not_merged(originals, tmp_path):
    with pytest.raises(RefusedError, match=r"differ in kit.frame_time, observation.images.head"):
        merge_datasets([originals / "state", originals / "camera"], tmp_path / "merged")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "track"}, "has task track, .* has look_at. Merge datasets of one task"),
        ({"environment_state_units": ("deg", "rad")}, r"has environment_state_units \('deg', 'rad'\), .*same units"),
    ],
)
def test_datasets_of_another_task_or_unit_are_not_merged(change, words, originals, data, tmp_path):
    other = data("state")
    write_layout(other, replace(read_layout(other), **change), "lerobot")
    with pytest.raises(RefusedError, match=words):
        merge_datasets([originals / "state", other], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_what_merged_datasets_say_about_their_origin_is_true_of_each(originals, data, tmp_path):
    other = data("state")
    shared = {**read_layout(other).provenance, "robot": "sim"}
    write_layout(other, replace(read_layout(other), provenance={**shared, "teleop": "gamepad"}), "lerobot")
    again = shutil.copytree(other, tmp_path / "again")
    write_layout(again, replace(read_layout(other), provenance={**shared, "teleop": "hand"}), "lerobot")
    merge_datasets([other, again], tmp_path / "merged")
    assert read_layout(tmp_path / "merged").provenance == {**shared, "merged from": "state data, again"}


# --- nothing is lost ----------------------------------------------------------------------------------------------


def test_a_dataset_in_use_is_not_edited(data):
    root = data("state")
    before = contents(root)
    with locked(root), pytest.raises(RefusedError, match="is being recorded into"):
        drop_episodes(root, [0])
    with locked(root / "meta", shared=True), pytest.raises(RefusedError, match="is being read by process"):
        drop_episodes(root, [0])
    assert contents(root) == before


def exchanged(root):
    """Another folder takes a dataset's place, as at the end of an edit."""
    root.rename(root.with_name("old"))
    shutil.copytree(root.with_name("old"), root)


def test_the_lock_is_on_the_folder_that_is_there(data, monkeypatch):
    root, lock, edits = data("state"), folder_locks.fcntl.flock, [exchanged]

    def lock_after_an_edit(handle, how):
        if edits:
            edits.pop()(root)
        lock(handle, how)

    monkeypatch.setattr(folder_locks.fcntl, "flock", lock_after_an_edit)
    with locked(root), pytest.raises(BlockingIOError), locked(root):
        pass
    assert edits == []


def test_what_the_next_recorder_stages_stays_when_an_edit_ends(data):
    root = data("state")
    with sole_recorder(root):
        exchanged(root)
        with sole_recorder(root):
            (root / ".saving").mkdir()
            (root / ".saving/0.json").write_text("{}")
            root.rename(root.with_name("new"))
            root.with_name("old").rename(root)
        root.rename(root.with_name("old"))
        root.with_name("new").rename(root)
    assert (root / ".saving/0.json").exists()


def test_a_full_disk_is_noticed_before_the_work(data, monkeypatch):
    root = data("state")
    before = contents(root.parent)
    usage = shutil.disk_usage(root)._replace(free=1000)
    monkeypatch.setattr(folder_swap.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(KitError, match=r"0 MB are free\. Make room"):
        drop_episodes(root, [0])
    assert contents(root.parent) == before


@pytest.mark.parametrize("count", [5, pytest.param(40, marks=pytest.mark.soak)])
def test_an_edit_that_is_killed_leaves_the_old_dataset_or_the_new_one(count, originals, tmp_path):
    import lerobot.datasets.utils  # noqa: F401  (its import writes nothing, and is not what is killed)

    ends = set()
    for moment in (index * 45 // count for index in range(count)):
        root = shutil.copytree(originals / "camera", tmp_path / f"data-{moment}")
        killed_at(moment, lambda root=root: drop_episodes(root, [1]))
        episodes = len(open_for_reading(root).episodes)
        ends.add(episodes)
        holds(root, [0, 2, 3, 4] if episodes == 4 else range(5))
        drop_episodes(root, [0])
        assert [path.name for path in tmp_path.glob(f".{root.name}.*")] == []
    assert ends == {4, 5}


# --- forgetting ---------------------------------------------------------------------------------------------------


def naming(folder, word):
    """Files that hold a word, byte for byte; Parquet files also in what is compressed."""
    import pyarrow.parquet as pq

    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += str(pq.read_table(path).to_pylist()).encode() + str(pq.read_metadata(path).to_dict()).encode()
        found += [path] if word.encode() in content else []
    return found


@pytest.mark.parametrize("keep", [False, True])
def test_a_person_who_is_forgotten_is_in_no_file(keep, data, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/copy.arrow").write_bytes(f"{OPERATOR} {OWL}".encode())
    root = data("people")
    assert naming(root, OWL) and naming(root, FOX)
    layout = read_layout(root)
    write_layout(root, replace(layout, provenance={**layout.provenance, "merged from": f"{OWL}, anna"}), "lerobot")
    (root / ".saving").mkdir()
    (root / ".saving/1.parquet").write_bytes(b"PAR1, and cut short")
    (root / ".saving/0.json").write_text(OWL)
    (done,) = forget_person(OWL, [root], keep_episodes=keep)
    assert (done.episodes, done.kept, done.caches) == (2, keep, 1)
    assert naming(tmp_path, OWL) == []
    assert read_layout(root).provenance["merged from"] == "(forgotten), anna"
    holds(root, range(4) if keep else [1, 3])
    operators = list(dict.fromkeys(open_for_reading(root).column(OPERATOR)))
    assert operators == (["", FOX] if keep else [FOX, ""])
    continues(root, 4 if keep else 2)


def test_notes_that_name_a_person_are_not_changed_unasked(data):
    root = data("people")
    (root / "NOTES.txt").write_text(f"{OWL} was here")
    with pytest.raises(RefusedError, match=r"NOTES.txt names night-owl. Edit or delete it"):
        forget_person(OWL, [root])
    (root / "NOTES.txt").unlink()
    relabel_episodes(root, [1], instruction=f"Look at {OWL}.")
    with pytest.raises(RefusedError, match=r"would still name night-owl.*dataset relabel"):
        forget_person(OWL, [root])
    assert len(open_for_reading(root).episodes) == 4


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("owl_notes.txt", ""),
        ("of owl/notes.txt", ""),
        ("notes.ini", "by=owl"),
        ("page.rst", "„owl“"),
        ("images/owl.png", ""),
    ],
)
def test_short_names_are_looked_for_in_every_file_and_name(place, content, data):
    root = data("people")
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text(content)
    with pytest.raises(RefusedError, match=r"(notes|page|owl).* names owl. Edit or delete it"):
        forget_person("owl", [root])


def test_a_name_inside_another_name_does_not_count(data):
    root = data("people")
    (root / "howls.dat").write_bytes(b"growling owls, owl2")
    drop_episodes(root, [3])
    assert forget_person("owl", [root])[0].episodes == 0
    assert set(open_for_reading(root).column(OPERATOR)) == {OWL, FOX}


def test_a_dataset_of_one_person_alone_is_not_emptied(data):
    root = data("people")
    drop_episodes(root, [1, 3])
    with pytest.raises(WrongUseError, match=r"all 2 episodes .* --keep-episodes"):
        forget_person(OWL, [root])


# --- the commands -------------------------------------------------------------------------------------------------


def test_the_commands_edit_and_say_what_comes_next(kit, originals):
    shutil.copytree(originals / "state", kit.folder / "data")
    dropped = kit.run("dataset", "drop", "data", "0,3-4")
    assert (dropped.code, dropped.out) == (
        0,
        "3 episodes dropped: 2 episodes, 23 frames in data. Next: reachy-kit dataset show data\n",
    )
    trimmed = kit.run("dataset", "trim", "data", "--start", 0.04, "--out", "shorter", "--json")
    assert trimmed.json == {"dataset": "shorter", "episodes": 2, "frames": 21, "changed": [0, 1]}
    merged = kit.run("dataset", "merge", "data", "shorter", "--out", "both", "--json")
    assert (merged.code, merged.json["episodes"]) == (0, 4)
    split = kit.run("dataset", "split", "both", "--into", "a=0.5", "--into", "b=3", "--out", "parts", "--json")
    assert {name: part["episodes"] for name, part in split.json.items()} == {"a": 2, "b": 1}
    assert kit.run("dataset", "relabel", "data", "--episodes", 1, "--failure", "--json").json["changed"] == [1]
    relabelled = kit.run("dataset", "relabel", "data", "--instruction", "Look.", "--json")
    assert relabelled.json["changed"] == [0, 1]
    kit.run("dataset", "trim", "data", "--start", "nan").says(2, "are seconds to cut, 0 or more")
    assert kit.run("dataset", "forget", "nobody", "data", "--json").json[0]["episodes"] == 0
    kit.run("dataset", "drop", "data", "x").says(2, "episodes are given as 3, 0,2,5 or 4-9")
    kit.run("dataset", "drop", "nothing", "0").says(2, "nothing is not a reachy-kit dataset")
    kit.run("dataset", "split", "data", "--into", "a", "--out", "p").says(2, "is not NAME=SHARE")


@pytest.mark.parametrize(("text", "indices"), [("3", (3,)), ("0,2, 5-7", (0, 2, 5, 6, 7)), ("2,2", (2,))])
def test_episodes_are_given_as_numbers_and_ranges(text, indices):
    assert read_episodes(text) == indices
