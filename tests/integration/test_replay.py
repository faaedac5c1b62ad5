"""Recorded episodes on a robot again, and as moves that other programs play."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest


def altered(dataset, folder, *dropped):
    """A copy of a dataset without some columns."""
    shutil.copytree(dataset, folder)
    (file,) = folder.glob("data/*/*.parquet")
    pq.write_table(pq.read_table(file).drop_columns(list(dropped)), file)
    info = json.loads((folder / "meta/info.json").read_text())
    for name in dropped:
        del info["features"][name]
    (folder / "meta/info.json").write_text(json.dumps(info))
    return folder


def test_in_the_simulator_an_episode_is_repeated_as_it_was(kit, recorded_dataset):
    result = kit.run("replay", recorded_dataset, 3, "--robot", "sim", "--json")
    assert result.code == 0, result
    assert result.json["success"] is True
    assert result.json["largest_difference_degrees"] < 0.01
    assert result.json["largest_difference_millimetres"] < 0.01


def test_without_the_requested_actions_the_applied_ones_are_repeated(kit, recorded_dataset):
    folder = altered(recorded_dataset, kit.folder / "applied", "kit.requested_action")
    result = kit.run("replay", folder, 3, "--robot", "sim", "--json")
    assert result.code == 0, result
    assert 0.01 < result.json["largest_difference_degrees"] < 8
    assert result.json["success"] is True


def test_half_as_fast_takes_twice_as_long(kit, recorded_dataset):
    normal, slow = (
        kit.run("replay", recorded_dataset, 0, "--robot", "sim", "--speed", speed, "--json").json for speed in (1, 0.5)
    )
    assert slow["steps"] / 50 == pytest.approx(2 * normal["steps"] / 25)
    assert slow["largest_difference_degrees"] < 8  # along the same way


def test_through_the_daemon_it_lies_down_afterwards(kit, recorded_dataset, daemon):
    result = kit.run("replay", recorded_dataset, 0, "--robot", daemon.address)
    assert result.code == 0, result
    assert "from the recorded motion" in result.out
    assert daemon.lies_down


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((8,), "it has 0 to 7"),
        ((0, "--speed", 3), "from 0.1 to 2"),
        (("--", -1), "it has 0 to 7"),
    ],
)
def test_an_episode_that_does_not_exist_and_a_speed_that_is_none(arguments, says, kit, recorded_dataset):
    result = kit.run("replay", "--robot", "sim", recorded_dataset, *arguments)
    assert result.code == 2
    assert says in result.err


def test_episodes_become_moves_and_moves_a_dataset(kit, recorded_dataset):
    written = kit.run("dataset", "moves", recorded_dataset, "--episode", 2, "--episode", 5, "--out", "moves", "--json")
    assert written.code == 0, written
    names = ["look_at_002.json", "look_at_005.json"]
    assert sorted(path.name for path in (kit.folder / "moves").iterdir()) == names
    recorded = kit.run("record", "--teleop", "move:moves", "--episodes", 1, "--out", "data")
    assert recorded.code == 0, recorded
    (table,) = (kit.folder / "data").glob("data/*/*.parquet")
    actions = np.stack(pq.read_table(table, columns=["action"])["action"].to_numpy())
    move = json.loads((kit.folder / "moves" / names[0]).read_text())
    body, antennas = move["set_target_data"][-1]["body_yaw"], move["set_target_data"][-1]["antennas"]
    assert np.allclose(actions[-1, 6:], [body, *antennas], atol=1e-3)
    assert len(actions) / 25 > move["time"][-1]
    again = kit.run("dataset", "moves", recorded_dataset, "--episode", 2, "--out", "moves")
    again.says(4, "look_at_002.json exists and is not overwritten")


def test_an_episode_that_does_not_exist_is_not_exported(kit, recorded_dataset):
    kit.run("dataset", "moves", recorded_dataset, "--episode", 8, "--out", "moves").says(2, "has no episode 8")
    assert not (kit.folder / "moves").exists()
