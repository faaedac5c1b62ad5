"""Recorded moves, as the maker's libraries, Marionette and other programs write them."""

import json
from pathlib import Path

import numpy as np
import pytest

from reachy_kit.runtime.behaviours.recorded_move import RecordedMove, read_moves, write_move
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import NEUTRAL, Observation
from reachy_kit.runtime.teleop.teleoperator import TakeEvent, TeleopContext, open_teleoperator

NOD = np.array([NEUTRAL, NEUTRAL, NEUTRAL, NEUTRAL])
NOD[:, 4] = [0.0, 0.1, 0.2, 0.1]
NOD[:, 5] = 0.3
NOD[:, 6] = 0.25
TIMES = np.array([0.0, 0.02, 0.04, 0.06])


def frame(pose, **changes):
    return {"head": pose_from_vector(pose).tolist(), "antennas": pose[7:].tolist(), "body_yaw": pose[6]} | changes


def move(times=TIMES, frames=None, **changes):
    return {"description": "nod", "time": list(times), "set_target_data": frames or [frame(p) for p in NOD]} | changes


@pytest.fixture
def file(tmp_path):
    """Writes JSON into a file, and returns its path."""

    def write(content, name="nod.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_the_makers_own_player_plays_a_move_that_was_written_here(tmp_path):
    from reachy_mini.motion.recorded_move import RecordedMove as MakersMove

    write_move(tmp_path / "nod.json", RecordedMove("nod", "a nod", TIMES, NOD))
    theirs = MakersMove(json.loads((tmp_path / "nod.json").read_text()))
    assert theirs.description == "a nod"
    for time in (0.0, 0.01, 0.03, 0.059):
        head, antennas, body_yaw = theirs.evaluate(time)
        ours = read_moves(tmp_path / "nod.json")[0].pose(time)
        assert np.allclose(head, pose_from_vector(ours), atol=1e-4)
        assert np.allclose(antennas, ours[7:], atol=1e-5)
        assert body_yaw == pytest.approx(ours[6], abs=1e-5)


def test_what_is_written_is_read_again(tmp_path):
    write_move(tmp_path / "nod.json", RecordedMove("nod", "a nod", TIMES, NOD))
    (read,) = read_moves(tmp_path / "nod.json")
    assert np.allclose(read.poses, NOD, atol=2e-6)
    assert np.allclose(read.times, TIMES)
    assert [path.name for path in tmp_path.iterdir()] == ["nod.json"]


@pytest.mark.parametrize(
    ("times", "kept"), [(TIMES + 0.063, [0, 1, 2, 3]), ([0.063, 0.063, 0.063, 0.084], [0, 3]), (TIMES[::-1], [0])]
)
def test_times_that_begin_late_repeat_or_run_back_are_put_in_order(file, times, kept):
    (read,) = read_moves(file(move(times)))
    assert read.times[0] == 0.0
    assert (np.diff(read.times) > 0).all()
    assert np.allclose(read.poses, NOD[kept], atol=1e-9)


def test_a_pose_of_sixteen_numbers_and_a_missing_body_yaw_are_taken(file):
    frames = [frame(pose, head=pose_from_vector(pose).ravel().tolist()) for pose in NOD]
    for one in frames:
        del one["body_yaw"]
    (read,) = read_moves(file(move(frames=frames)))
    assert np.allclose(read.poses[:, :6], NOD[:, :6])
    assert (read.poses[:, 6] == 0).all()


def test_a_rotation_that_was_rounded_becomes_one(file):
    skewed = [frame(pose, head=(pose_from_vector(pose) * 1.00025).tolist()) for pose in NOD]
    (read,) = read_moves(file(move(frames=skewed)))
    assert np.allclose(read.poses[:, 3:6], NOD[:, 3:6], atol=1e-6)


@pytest.mark.parametrize("folder", [".", "data"])
def test_a_library_is_read_in_the_order_of_its_names(file, tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    for name in ("wave", "nod"):
        file(move(description=name), f"{folder}/{name}.json")
    file({"dataset_info": {}}, "about.json")
    assert [read.name for read in read_moves(tmp_path)] == ["nod", "wave"]


BROKEN = {
    "an empty move": (move((), [], set_target_data=[]), "empty", RefusedError),
    "fewer times than poses": (move(TIMES[:3]), "3 times for 4 poses", RefusedError),
    "millimetres": (move(frames=[frame(p + np.eye(9)[2] * 12.0) for p in NOD]), "millimetres", RefusedError),
    "degrees": (move(frames=[frame(p, antennas=[-10.0, 10.0]) for p in NOD]), "degrees", RefusedError),
    "not a rotation": (move(frames=[frame(p, head=np.ones((4, 4)).tolist()) for p in NOD]), "4×4 pose", RefusedError),
    "no antennas": (move(frames=[{"head": np.eye(4).tolist()}] * 4), "antennas", RefusedError),
    "not numbers": (move([0.0, float("nan"), 0.1, 0.2]), "not all of it is numbers", RefusedError),
    "another JSON": ({"time": [1]}, "lacks set_target_data", WrongUseError),
    "a list": ([1, 2], "lacks set_target_data", WrongUseError),
    "not JSON": ("wave", "not JSON", WrongUseError),
}


@pytest.mark.parametrize(("content", "said", "kind"), BROKEN.values(), ids=BROKEN)
def test_what_is_not_a_move_of_this_robot_is_refused_in_a_line(file, content, said, kind):
    path = file(content)
    with pytest.raises(KitError, match=said) as refused:
        read_moves(path)
    assert type(refused.value) is kind
    assert str(path) in str(refused.value)


def test_a_folder_without_moves_and_a_missing_file_are_wrong_use(file, tmp_path):
    file({"a": 1}, "a.json")
    for path in (tmp_path, tmp_path / "missing.json"):
        with pytest.raises(WrongUseError):
            read_moves(path)


def played(device, seconds, start=NEUTRAL, hz=25):
    """Targets of a device whose robot follows at once, and the index of the step at which it ended the take."""
    assert TakeEvent.START in device.events()
    device.reset()
    targets, action = [], start
    for step in range(round(seconds * hz)):
        action = device.act(Observation(action, 100.0 + step / hz, last_action=action))
        targets.append(action)
        if TakeEvent.STOP in device.events():
            return np.array(targets), step
    return np.array(targets), None


def test_a_take_glides_to_the_start_plays_at_the_moves_own_rate_and_ends(tmp_path):
    times = np.linspace(0.0, 1.0, 101)  # 100 Hz, as Marionette records
    poses = np.tile(NEUTRAL, (101, 1))
    poses[:, 5] = 0.5 + 0.3 * np.sin(2 * np.pi * times)
    write_move(tmp_path / "sweep.json", RecordedMove("sweep", "", times, poses))
    device = open_teleoperator("move", TeleopContext(str(tmp_path / "sweep.json"), 25))
    targets, ended = played(device, 5.0)
    assert np.allclose(targets[0], NEUTRAL)
    assert np.abs(np.diff(targets[:, 5])).max() < 3.0 / 25  # the limiter's speed
    first = int(np.flatnonzero(targets[:, 5] >= 0.5 - 1e-6)[0])
    assert np.isclose(targets[first : first + 25, 5].max(), 0.8, atol=0.01)  # a second of it is a second
    assert ended is not None
    assert ended / 25 == pytest.approx(first / 25 + 1.3, abs=0.1)
    assert np.allclose(targets[ended], poses[-1], atol=1e-5)


def test_each_episode_is_the_next_move_of_a_library(tmp_path):
    for name, yaw in (("a", 0.1), ("b", 0.2)):
        write_move(tmp_path / f"{name}.json", RecordedMove(name, name, TIMES, NOD + np.eye(9)[5] * yaw))
    device = open_teleoperator("move", TeleopContext(str(tmp_path), 25))
    yaws = []
    for stored in (0, 1, 1, 2):  # the second take was not kept
        device.prepare_take(stored)
        yaws.append(played(device, 3.0)[0][-1, 5])
    assert np.allclose(yaws, [0.4, 0.5, 0.5, 0.4], atol=1e-5)


def test_without_a_file_the_device_says_what_it_needs():
    with pytest.raises(WrongUseError, match=r"move:wave\.json"):
        open_teleoperator("move", TeleopContext("", 25))


def test_a_device_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(WrongUseError, match="scripted"):
        open_teleoperator("theremin", TeleopContext("", 25))
