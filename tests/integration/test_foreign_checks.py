"""`dataset check` on datasets of others: without our layout, in another order, of LeRobot's recorder and its tools."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reachy_kit.dataset.checks.finding import Severity
from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.recording.layout import LAYOUT_FILE
from reachy_kit.runtime.recording.schema import ACTION, OBS_STATE
from reachy_kit.workflows.datasets.dataset_check import check_dataset

from .saved_episodes import lerobot_dataset

INFO = "meta/info.json"
ORDER = [8, 7, 6, 3, 4, 5, 0, 1, 2]


def numbers(report):
    """Numbers of the findings that are more than notes."""
    return {finding.number for finding in report.findings if finding.severity is not Severity.NOTE}


@pytest.fixture
def foreign(recorded_dataset, tmp_path):
    """The recorded motions as another program would have stored them: nine numbers in another order, few columns."""
    root = shutil.copytree(recorded_dataset, tmp_path / "theirs")
    (root / LAYOUT_FILE).unlink()
    info = json.loads((root / INFO).read_text())
    (path,) = root.glob("data/*/*.parquet")
    table = pq.read_table(path)
    ours = [key for key in table.schema.names if key.startswith(("kit.", "next.", "observation.")) and key != OBS_STATE]
    table = table.drop_columns(ours)
    for key in (OBS_STATE, ACTION):
        column = table.schema.field(key)
        values = np.array(table[key].to_pylist())[:, ORDER]
        values = pa.array(values.tolist(), type=column.type)
        table = table.set_column(table.schema.get_field_index(key), column, values)
        info["features"][key]["names"] = [ACTION_NAMES[number] for number in ORDER]
    table = table.append_column("battery.level", pa.array([0.5] * len(table), type=pa.float32()))
    info["features"] = {key: feature for key, feature in info["features"].items() if key not in ours}
    info["features"]["battery.level"] = {"dtype": "float32", "shape": [1], "names": None}
    pq.write_table(table.replace_schema_metadata(None), path)
    (root / INFO).write_text(json.dumps(info))
    check_dataset(root, fix=True)
    return root


def test_a_dataset_of_another_program_is_sound(foreign):
    report = check_dataset(foreign)
    assert [finding.number for finding in report.findings] == ["RK133"]
    stats = json.loads((foreign / "meta/stats.json").read_text())
    assert stats.keys() == json.loads((foreign / INFO).read_text())["features"].keys()
    assert not (foreign / LAYOUT_FILE).exists(), "a check leaves other people's files alone"
    assert len(lerobot_dataset(foreign)) == 704


def test_its_motions_are_found_by_name(foreign):
    (path,) = foreign.glob("data/*/*.parquet")
    table = pq.read_table(path)
    state = np.array(table[OBS_STATE].to_pylist())
    state[:, ORDER.index(5)] *= -1
    column = table.schema.field(OBS_STATE)
    place = table.schema.get_field_index(OBS_STATE)
    pq.write_table(table.set_column(place, column, pa.array(state.tolist(), type=column.type)), path)
    messages = [finding.message for finding in check_dataset(foreign, only=["RK125"]).findings]
    assert messages == ["observation.state has head_yaw.pos reversed: it moves against its commands"]


def test_what_lerobots_recorder_stores_is_sound(tmp_path):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    names = [*ACTION_NAMES, "target_right.pos", "target_below.pos"]
    features = {
        OBS_STATE: {"dtype": "float32", "shape": (len(names),), "names": names},
        ACTION: {"dtype": "float32", "shape": (9,), "names": list(ACTION_NAMES)},
    }
    root = tmp_path / "theirs"
    dataset = LeRobotDataset.create("me/theirs", 30, features, root=root, robot_type="reachy_mini", use_videos=False)
    for episode in range(3):
        motions = [0.3 * np.sin(np.arange(9) + episode + index / 8) * (np.arange(9) > 2) for index in range(-2, 60)]
        for index in range(60):
            state = np.array([*motions[index], 0.1, 0.1], np.float32)
            dataset.add_frame({"task": "Look.", OBS_STATE: state, ACTION: motions[index + 2].astype(np.float32)})
        dataset.save_episode()
    dataset.finalize()
    report = check_dataset(root)
    assert (numbers(report), report.frames) == (set(), 180)


@pytest.mark.parametrize(
    "edit", ["delete", *(pytest.param(edit, marks=pytest.mark.long) for edit in ("split", "merge", "remove_feature"))]
)
def test_what_lerobots_tools_leave_is_sound(edit, recorded_dataset, tmp_path):
    from lerobot.datasets import dataset_tools

    dataset, out = lerobot_dataset(recorded_dataset), tmp_path / "edited"
    if edit == "delete":
        dataset_tools.delete_episodes(dataset, [0, 5], output_dir=out)
    elif edit == "split":
        dataset_tools.split_dataset(dataset, {"left": [0, 1, 2]}, output_dir=tmp_path)
        out = tmp_path / "left"
    elif edit == "merge":
        dataset_tools.merge_datasets([dataset, dataset], "local/edited", output_dir=out)
    else:
        dataset_tools.remove_feature(dataset, "kit.capture_time", output_dir=out)
    assert numbers(check_dataset(out)) == ({"RK132"} if edit == "merge" else set())
