"""A person with a keyboard or a gamepad: drives, records takes, redoes, discards and stops."""

import json
import signal
import time

import numpy as np
import pytest

from .gamepad import Gamepad


def dataset_of(root):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset(f"local/{root.name}", root=root, video_backend="pyav")


@pytest.fixture
def terminal(open_terminal):
    return open_terminal()


@pytest.fixture
def data(kit):
    return kit.folder / "data"


def test_a_person_drives_and_ends_with_a_key(kit, terminal):
    command = kit.start("teleop", "keyboard", "--json", terminal=terminal)
    terminal.wait("DRIVING, nothing is recorded")
    before = float(terminal.wait(r"head yaw +(-?[\d.]+) °").group(1))
    terminal.press(*["left"] * 5)
    terminal.wait(r"head yaw +-?[\d.]+ ° +" + f"{before + 15:.1f}")
    terminal.press("escape")
    result = command.wait()
    assert result.code == 0, result
    assert result.json["device"] == "keyboard"
    assert result.json["seconds"] > 0.3
    assert terminal.is_restored
    assert terminal.shows_its_cursor


def test_a_session_keeps_redoes_discards_and_marks(kit, terminal, data):
    command = kit.start(
        "record", "--teleop", "keyboard", "--episodes", 3, "--operator", "anna", "--out", data,
        "--instruction", "look at the ball", "--instruction", "look gently", terminal=terminal,
    )  # fmt: skip
    terminal.wait(r"READY +0 of 3 episodes")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* [1-9]\.\d s")
    terminal.press("left", "x")
    terminal.wait("take 1000000 discarded")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* (0\.[89]|[1-9]\.\d) s")
    terminal.press("r")
    terminal.wait("take 1000001 discarded; record it again")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* (0\.[89]|[1-9]\.\d) s")
    terminal.press("enter")
    terminal.wait(r"take 1000001 kept as episode 0")
    terminal.press("r")
    terminal.wait("take 1000001 removed; record it again")
    terminal.wait("READY +0 of 3 episodes")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* (0\.[89]|[1-9]\.\d) s")
    terminal.press("y")
    terminal.wait(r"take 1000001 kept as episode 0: [\d.]+ s, success")
    terminal.press(*["tab"] * 2)  # held: the terminal repeats it
    terminal.wait(r"task: look gently \(one of 2\), by anna")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* (0\.[89]|[1-9]\.\d) s")
    terminal.press("n")
    terminal.wait(r"take 1000002 kept as episode 1: [\d.]+ s, failure")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* (0\.[89]|[1-9]\.\d) s")
    terminal.press("enter")
    result = command.wait()
    assert result.code == 0, result
    assert "3 episodes in" in result.out
    assert terminal.is_restored
    assert terminal.bells == 12  # six takes began and ended
    dataset = dataset_of(data)
    assert [list(row["tasks"]) for row in dataset.meta.episodes] == [
        ["look at the ball"], ["look gently"], ["look gently"],
    ]  # fmt: skip
    assert sorted(set(np.ravel(dataset.hf_dataset["kit.seed"][:]).tolist())) == [1000001, 1000002, 1000003]


@pytest.mark.parametrize("end", ["ctrl-c", "hang-up", pytest.param(signal.SIGTERM, marks=pytest.mark.long)], ids=str)
def test_what_stops_a_take_keeps_the_takes_before_it_and_restores_the_terminal(end, kit, terminal, data):
    command = kit.start("record", "--teleop", "keyboard", "--episodes", 5, "--out", data, terminal=terminal)
    terminal.wait("READY")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* (0\.[89]|[1-9]\.\d) s")
    terminal.press("enter")
    terminal.wait("kept as episode 0")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* (0\.[89]|[1-9]\.\d) s")
    if end == "ctrl-c":
        terminal.press("ctrl-c")
    elif end == "hang-up":
        terminal.hang_up()
    else:
        command.send(end)
    number = {"ctrl-c": signal.SIGINT, "hang-up": signal.SIGHUP}.get(end, end)
    result = command.wait()
    assert result.code == 128 + number, result
    if end == "ctrl-c":
        result.says(130, "stopped by Ctrl-C; what was saved before is kept")
    if end != "hang-up":
        assert terminal.is_restored
        assert terminal.shows_its_cursor
    assert dataset_of(data).meta.total_episodes == 1


def test_a_person_corrects_a_policy_and_the_frames_are_marked(kit, terminal, data, bundle_path):
    command = kit.start(
        "run", bundle_path, "--robot", "sim", "--teleop", "keyboard", "--out", data, "--episodes", 1, "--json",
        terminal=terminal,
    )  # fmt: skip
    terminal.wait("READY")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* (0\.[89]|[1-9]\.\d) s")
    terminal.press("enter")
    terminal.wait("take 1500000 was not kept: nothing was corrected")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* 0\.[3-9] s")
    terminal.press("c", "left", "left")
    terminal.wait(r"RECORDING .* 1\.[2-9] s")
    terminal.press("c")
    terminal.wait(r"RECORDING .* 2\.\d s")
    terminal.press("y")
    result = command.wait()
    assert result.code == 0, result
    dataset = dataset_of(data)
    driven = np.ravel(dataset.hf_dataset["kit.intervention"][:]).astype(bool)
    assert result.json == {"dataset": str(data), "episodes": 1, "frames": int(driven.sum())}
    turns = np.flatnonzero(np.diff(driven.astype(int)))
    assert len(turns) == 2, driven  # from the policy to the person, and back
    assert 5 < driven.sum() < len(driven) - 20


def test_a_corrected_run_needs_a_dataset_and_a_device(kit, bundle_path):
    for one in (("--teleop", "keyboard"), ("--out", "data")):
        kit.run("run", bundle_path, "--robot", "sim", *one).says(2, "--teleop and --out belong together")


@pytest.mark.parametrize("option", [("--no-camera",), ("--microphone", "default")], ids=lambda option: option[0])
def test_a_corrected_run_does_not_open_a_camera_that_was_switched_off(option, kit, bundle_path):
    corrected = kit.run("run", bundle_path, "--robot", "sim", "--teleop", "keyboard", "--out", "data", *option)
    corrected.says(2, "--no-camera, --microphone, --speaker, --telemetry and --metrics do not work with --teleop")


@pytest.mark.long
def test_a_person_corrects_in_dagger(kit, terminal, recorded_dataset):
    command = kit.start(
        "train", "imitation", "--dataset", recorded_dataset, "--dagger", 1, "--dagger-episodes", 1, "--set",
        "max_steps=50", "--set", "eval_every=50", "--dagger-teleop", "keyboard", "--operator", "anna", "--out", "run",
        terminal=terminal,
    )  # fmt: skip
    terminal.wait("READY", within=120)
    terminal.press("enter")
    terminal.wait(r"RECORDING .* 0\.[3-9] s")
    terminal.press("c", "left", "left")
    terminal.wait(r"RECORDING .* [12]\.\d s")
    terminal.press("y")
    result = command.wait(240)
    assert result.code == 0, result
    grown = dataset_of(kit.folder / "run.dagger/dataset")
    assert grown.meta.total_episodes == 9
    marks = np.ravel(grown.hf_dataset["kit.intervention"][:]).astype(bool)
    assert set(np.ravel(grown.hf_dataset["episode_index"][:])[marks]) == {8}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--dagger-teleop", "keyboard"), "--dagger N"),
        (("--dagger", 1, "--operator", "anna"), "--dagger-teleop"),
        (("--dagger", 1, "--dagger-teleop", "keyboard", "--seeds", 2), "Leave out --seeds"),
    ],
)
def test_a_person_without_dagger_and_dagger_without_a_person(options, says, kit, recorded_dataset):
    kit.run("train", "imitation", "--dataset", recorded_dataset, "--out", "run", *options).says(2, says)


@pytest.mark.parametrize(
    "arguments", [("record", "--out", "data", "--teleop"), ("teleop",)], ids=lambda value: value[0]
)
def test_a_keyboard_needs_a_terminal(arguments, kit):
    kit.run(*arguments, "keyboard").says(2, "the keyboard needs a terminal", "ssh -t")
    assert not (kit.folder / "data").exists()


def test_a_second_recorder_is_refused_and_its_terminal_restored(kit, open_terminal, data):
    first, second = open_terminal(), open_terminal(rows=12, columns=46)
    command = kit.start("record", "--teleop", "keyboard", "--episodes", 1, "--out", data, terminal=first)
    first.wait("READY")
    other = kit.start("record", "--teleop", "keyboard", "--episodes", 1, "--out", data, terminal=second)
    other.wait().says(4, "is being recorded into")
    assert second.is_restored
    first.press("escape")
    assert command.wait().code == 0
    assert json.loads((data / "meta/info.json").read_text())["total_episodes"] == 0


def test_a_narrow_terminal_shows_what_matters_and_no_line_wraps(kit, open_terminal, data):
    terminal = open_terminal(rows=12, columns=40)
    command = kit.start("record", "--teleop", "keyboard", "--episodes", 1, "--out", data, terminal=terminal)
    terminal.wait("READY")
    terminal.press("enter")
    terminal.wait(r"RECORDING .* (0\.[89]|[1-9]\.\d) s\s*\S*\n")
    terminal.wait(r"rate: [\d.]+ of 25 Hz, \d+ dropped")
    terminal.press("enter")
    assert command.wait().code == 0


def test_a_gamepad_alone_records_and_a_take_waits_while_it_is_unplugged(kit, data, until):
    pad = Gamepad(kit.folder)
    command = kit.start("record", "--teleop", "gamepad", "--episodes", 3, "--out", data, before=pad.before)
    until(lambda: "ready" in command.err)
    pad.push("a")
    until(lambda: "recording" in command.err)
    pad.do("move", rightx=-0.8)
    time.sleep(0.5)
    pad.do("unplug")
    until(lambda: "paused: the gamepad is gone: plug it in, or switch it on" in command.err)
    time.sleep(1.0)
    pad.do("plug_in")
    until(lambda: command.err.count("recording") == 2)
    pad.push("y")
    until(lambda: "kept as episode 0" in command.err)
    pad.push("a")
    until(lambda: command.err.count("recording") == 3)
    pad.push("back")
    until(lambda: "take 1000001 discarded" in command.err)
    pad.push("start")
    result = command.wait()
    assert result.code == 0, result
    assert "1 episodes in" in result.out
    assert "success" in result.err
    table = dataset_of(data).hf_dataset.with_format("numpy")
    yaw, times = np.asarray(table["action"][:])[:, 5], np.ravel(table["kit.capture_time"][:])
    assert yaw[-1] - yaw[0] > 0.2
    assert np.diff(times).max() < 0.05  # the second of the pause is not in the data
    assert len(times) < 60
