"""The files of a dataset: joined at the end of a recording, in LeRobot's own format."""

import json
import shutil

import av
import numpy as np
import pytest
from pyarrow import compute, parquet

from reachy_kit.dataset.lerobot_features import lerobot_features
from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.dataset.saving.column_statistics import QUANTILES
from reachy_kit.runtime.recording.schema import IMAGE, OPERATOR, OUR_COLUMNS, REQUESTED_ACTION

from ..forked import in_a_child
from .saved_episodes import (
    CAMERA,
    LABELS,
    episode,
    files,
    lerobot_dataset,
    numbered,
    require_episodes,
    save_without_joining,
    write,
)

# --- small files are joined -------------------------------------------------------------------------------------------


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


# --- in LeRobot's own format ------------------------------------------------------------------------------------------


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
            dataset.add_frame({"task": CAMERA.instruction, **frame, OPERATOR: LABELS.operator})
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
        exact = {} if key == IMAGE else quantiles(ours, key)  # theirs are means of the episodes' quantiles
        for name in mine[key]:
            np.testing.assert_allclose(mine[key][name], exact.get(name, other[key][name]), rtol=1e-5, atol=1e-7)


def quantiles(root, key):
    """Quantiles of a column over all frames, as LeRobot names them."""
    tables = [parquet.read_table(path, columns=[key]) for path in sorted((root / "data").glob("**/*.parquet"))]
    values = np.concatenate([np.array(table[key].to_pylist(), np.float64).reshape(len(table), -1) for table in tables])
    return {f"q{percent:02}": np.quantile(values, percent / 100, axis=0) for percent in (1, 10, 50, 90, 99)}


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
        if column.startswith(f"stats/{OUR_COLUMNS}"):
            if not column.endswith(tuple(QUANTILES)):  # theirs are those of a histogram
                np.testing.assert_allclose(*values, rtol=1e-5, atol=1e-6, err_msg=column)
        else:
            same = values[0] == (pytest.approx(values[1]) if column.endswith("timestamp") else values[1])
            assert same, column


def test_the_quantiles_of_our_own_columns_are_exact(both):
    root = both[0]
    frames, episodes = (
        parquet.read_table(next((root / folder).glob("**/*.parquet"))) for folder in ("data", "meta/episodes")
    )
    first = frames.filter(compute.equal(frames["episode_index"], 0))
    actions = np.array(first[REQUESTED_ACTION].to_pylist(), dtype=np.float64)
    for name, share in QUANTILES.items():
        stored = episodes[f"stats/{REQUESTED_ACTION}/{name}"][0].as_py()
        np.testing.assert_allclose(stored, np.quantile(actions, share, axis=0))


def test_the_videos_are_what_lerobot_writes(both):
    pixels = []
    for root in both:
        with av.open(next(root.glob("videos/**/*.mp4"))) as video:
            pixels.append([(frame.pts, frame.to_ndarray(format="rgb24").tobytes()) for frame in video.decode(video=0)])
    assert pixels[0] == pixels[1]


def test_lerobots_policies_see_none_of_our_own_columns_and_its_loader_batches_them(both):
    from lerobot.utils.feature_utils import dataset_to_policy_features
    from torch.utils.data import DataLoader

    dataset = lerobot_dataset(both[0])
    assert not [key for key in dataset_to_policy_features(dataset.meta.features) if key.startswith("kit.")]
    batch = next(iter(DataLoader(dataset, batch_size=4)))
    assert batch[OPERATOR] == [LABELS.operator] * 4
    assert batch[REQUESTED_ACTION].shape == (4, 9)


def test_lerobot_continues_and_edits_our_datasets(both, tmp_path):
    from lerobot.configs import RGBEncoderConfig
    from lerobot.datasets.dataset_tools import delete_episodes, merge_datasets
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    root = tmp_path / "data"
    shutil.copytree(both[0], root)
    encoder = RGBEncoderConfig(vcodec="h264", preset="ultrafast")
    dataset = LeRobotDataset.resume("a/b", root=root, video_backend="pyav", rgb_encoder=encoder)
    for frame in episode(5, CAMERA):
        dataset.add_frame({"task": CAMERA.instruction, **frame, OPERATOR: LABELS.operator})
    dataset.save_episode()
    dataset.finalize()
    require_episodes(root, 6, CAMERA)
    write(root, [6], CAMERA)
    require_episodes(root, 7, CAMERA)
    shorter = delete_episodes(lerobot_dataset(root), [5, 6], output_dir=tmp_path / "shorter", repo_id="a/shorter")
    assert shorter.num_episodes == 5
    merged = merge_datasets([lerobot_dataset(root), shorter], "a/merged", output_dir=tmp_path / "merged")
    assert merged.num_episodes == 12
