"""Recording on the robot's own computer: what is lost and killed, and what comes home; the simulated daemon moves."""

import os
import signal
import subprocess

import numpy as np
import pytest

from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.runtime.recording.schema import ACTION, CAPTURE_TIME

HEAVY = "torch", "lerobot", "mujoco", "gymnasium", "reachy_sim"


@pytest.fixture
def arguments(robots_computer, daemon, nod):
    """Arguments of the command that records nods."""
    place = "--on-robot", robots_computer.host, "--robot", daemon.address
    return "record", *place, "--teleop", f"move:{nod}", "--out", "data", "--json"


def test_the_wifi_drops_out_in_mid_take_and_nothing_is_lost(
    robots_computer, robots_python, desktop, daemon, arguments, kit, until
):
    command = kit.start(*arguments, "--episodes", 2, before=desktop)
    until(lambda: "recording" in command.err or command.poll() is not None, 120)
    robots_computer.stall()
    recorded = command.wait(180)
    assert recorded.code == 0, recorded.err + robots_computer.log
    assert "was lost. The recorder there continues" in recorded.err
    assert recorded.json["episodes"] == 2
    dataset = open_for_reading(kit.folder / "data")
    for entry in dataset.episodes:
        columns = dataset.read(entry.table, ACTION, CAPTURE_TIME)[entry.index]
        assert columns[ACTION][:, 4].max() > 0.15  # the head nodded
        assert np.diff(columns[CAPTURE_TIME].ravel()).max() < 0.5  # a network that is away lasts for seconds
    assert len(robots_computer.episodes) == 2  # nobody was there to say whether to remove them
    assert not (kit.folder / ".data.from-robot").exists()
    until(lambda: daemon.lies_down, 20)

    program = (
        f"import importlib.util as u, reachy_kit.runtime as r; print([u.find_spec(n) for n in {HEAVY}], r.__file__)"
    )
    alone = subprocess.run(
        [robots_computer.base / "current/python", "-c", program], check=True, capture_output=True, text=True
    )
    assert alone.stdout.startswith("[None, None, None, None, None]"), alone
    assert str(robots_computer.base / "wheels") in alone.stdout


@pytest.mark.parametrize(
    "device, words", [("keyboard", "needs a terminal"), pytest.param("gamepad", "gamepad", marks=pytest.mark.long)]
)
def test_a_desktop_without_its_device_does_not_start_the_robot(robots_computer, desktop, daemon, kit, device, words):
    place = "--on-robot", robots_computer.host, "--robot", daemon.address
    ended = kit.start("record", *place, "--teleop", device, "--out", "data", before=desktop).wait(180)
    assert ended.code in (2, 3) and words in ended.err, ended
    assert robots_computer.status == {}


@pytest.mark.long
def test_ctrl_c_on_the_desktop_lets_the_robot_lie_down(robots_computer, desktop, daemon, arguments, kit, until):
    command = kit.start(*arguments, "--episodes", 2, before=desktop)
    until(lambda: "recording" in command.err or command.poll() is not None, 120)
    command.send(signal.SIGINT)
    assert command.wait(60).code == 128 + signal.SIGINT
    until(lambda: robots_computer.status["ended"] and daemon.lies_down, 20)


@pytest.mark.long
def test_a_desktop_that_is_killed_finds_its_session_again(robots_computer, desktop, arguments, kit, until):
    command = kit.start(*arguments, "--episodes", 3, before=desktop)
    until(lambda: robots_computer.episodes or command.poll() is not None, 120)
    command.send(signal.SIGKILL)
    recorded = kit.start(*arguments, "--episodes", 3, before=desktop).wait(180)
    assert recorded.code == 0, recorded.err + robots_computer.log
    assert recorded.json["episodes"] == 3
    more = kit.start(*arguments, "--episodes", 4, before=desktop).wait(180)
    assert more.json["episodes"] == 4, more.err
    assert len(robots_computer.episodes) == 4


@pytest.mark.long
def test_a_recorder_that_is_killed_loses_no_saved_episode(robots_computer, desktop, arguments, kit, until):
    command = kit.start(*arguments, "--episodes", 3, before=desktop)
    until(lambda: robots_computer.episodes or command.poll() is not None, 120)
    os.kill(robots_computer.status["pid"], signal.SIGKILL)
    saved = len(robots_computer.episodes)
    command.wait(180).says(1, "the recorder on", "ended unexpectedly", f"The {saved} episodes in data are kept")
    assert len(open_for_reading(kit.folder / "data").episodes) == saved
    recorded = kit.start(*arguments, "--episodes", 3, before=desktop).wait(180)
    assert recorded.code == 0, recorded.err + robots_computer.log
    assert recorded.json["episodes"] == 3


@pytest.mark.long
def test_a_second_desktop_is_refused_while_the_first_records(robots_computer, desktop, arguments, kit, until):
    first = kit.start(*arguments, "--episodes", 3, before=desktop)
    until(lambda: "recording" in first.err or first.poll() is not None, 120)
    second = [*arguments[:-2], "others", "--json"]
    kit.start(*second, "--episodes", 3, before=desktop).wait(120).says(4, "is being recorded by", "Wait for the end")
    assert first.wait(180).json["episodes"] == 3


@pytest.mark.long
def test_the_desktops_keyboard_drives_over_the_network(robots_computer, desktop, daemon, kit, open_terminal, until):
    terminal = open_terminal()
    command = kit.start(
        "record", "--on-robot", robots_computer.host, "--robot", daemon.address, "--teleop", "keyboard",
        "--episodes", 1, "--out", "data", before=desktop, terminal=terminal,
    )  # fmt: skip
    terminal.wait(r"READY +0 of 1 episodes", 120)
    terminal.press("enter")
    terminal.wait(r"RECORDING .* [1-9]\.\d s")
    terminal.press(*["left"] * 5)
    terminal.wait(r"head yaw +1[345]")
    terminal.press("y")
    terminal.wait("Remove them from", 60)
    terminal.press("enter")
    recorded = command.wait(120)
    assert recorded.code == 0, recorded
    dataset = open_for_reading(kit.folder / "data")
    (entry,) = dataset.episodes
    actions = dataset.read(entry.table, ACTION)[entry.index][ACTION]
    assert abs(actions[-1, 5] - np.deg2rad(15)) < 0.02
    assert robots_computer.episodes == []
