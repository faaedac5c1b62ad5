"""Behaviours from the command line, on the real daemon: they hand over, they end at once, and what is wrong is said."""

import re
import signal

import numpy as np
import pytest

from reachy_kit.runtime.interface import YAW
from reachy_kit.runtime.interrupts import STOP


@pytest.mark.parametrize("perception", ["geometry", pytest.param("detector", marks=pytest.mark.long)])
def test_the_tracker_and_idle_hand_over_to_each_other_on_the_daemon(kit, daemon, perception):
    run = kit.run(
        "run", "track", "idle", "--robot", "daemon", "--seconds", 7, "--seed", 3, "--perception", perception, "--json",
        before=daemon.as_default,
    )  # fmt: skip
    run.says(0)
    assert run.json["drivers"] == ["track", "idle"]
    assert set(run.json["shares"]) == {"track", "idle"} and sum(run.json["shares"].values()) == pytest.approx(
        1, abs=1e-3
    )
    assert min(run.json["shares"].values()) > 0.1
    assert run.json["hand_overs"] >= 2
    assert daemon.lies_down


def test_idle_runs_until_ctrl_c_and_then_lies_down(kit, daemon, until):
    running = kit.start("run", "idle", "--robot", daemon.address, "--telemetry", "run.jsonl")
    telemetry = kit.folder / "run.jsonl"
    until(lambda: telemetry.exists() and re.search('"ticks":[1-9]', telemetry.read_text()))
    heights = []
    until(lambda: heights.append(daemon.state[2]) or np.ptp(heights) > 0.004, 30)
    running.send(signal.SIGINT)
    ended = running.wait()
    ended.says(130, "stopped by Ctrl-C")
    assert ended.out.startswith("who drove: idle 100 %; hand-overs: 0\ncontrol loop: period p50 ")
    assert daemon.lies_down


def test_keys_stop_one_behaviour_and_then_the_run_which_says_who_drove(kit, daemon, until, open_terminal):
    terminal = open_terminal()
    running = kit.start("run", "look-at:-40,0", "idle", "--robot", daemon.address, "--json", terminal=terminal)
    terminal.wait("1 look-at:-40,0, 2 idle")
    until(lambda: np.rad2deg(daemon.state[YAW]) < -30)
    terminal.press("1")
    terminal.wait("look-at:-40,0 is stopped; 1 lets it drive again")
    until(lambda: np.rad2deg(daemon.state[YAW]) > -15)
    terminal.press("space")
    ended = running.wait()
    ended.says(128 + STOP)
    terminal.wait("stopped by a key")
    assert min(ended.json["shares"].values()) > 0.05
    assert ended.json["hand_overs"] == 1
    assert ended.json["calmness"] is None
    assert daemon.lies_down


@pytest.mark.long
def test_it_looks_in_a_direction_on_the_daemon(kit, daemon, until):
    running = kit.start("run", "look-at:-40,0", "--robot", daemon.address, "--seconds", 5)
    until(lambda: abs(np.rad2deg(daemon.state[YAW]) + 40) < 4, 60)
    ended = running.wait()
    assert (ended.code, "detector" in ended.out, "warning: the camera" in ended.err) == (0, False, False), ended


def test_a_simulated_run_says_who_drove_and_claims_no_success(kit):
    ran = kit.run("run", "idle", "--robot", "sim", "--seconds", 1)
    assert (ran.code, ran.out) == (0, "who drove: idle 100 %; hand-overs: 0\n")


def test_the_behaviours_are_listed(kit):
    listed = kit.run("run", "--list")
    assert listed.code == 0
    assert [line.split()[0] for line in listed.out.splitlines()] == [
        "dance[:MOVE]", "idle", "look-at[:YAW,PITCH]", "sound-orient", "track",
    ]  # fmt: skip
    assert set(kit.run("run", "--list", "--json").json) == {"dance", "idle", "look-at", "sound-orient", "track"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "name what is to drive: a bundle, or a behaviour (dance, idle"),
        ("idel", "idel is neither a behaviour (dance, idle, look-at, sound-orient, track) nor a bundle"),
        ("idle idle", "idle is given twice"),
        ("track:face idle", "takes no argument. What is looked at is --target face"),
        ("idle --robot sim --perception nonsense", "--perception nonsense does not exist"),
        ("look-at:10", "look-at:10 is not a direction"),
        ("idle --episodes 2 --robot daemon", "give --seconds for several episodes"),
        ("idle nothing.bundle", "nothing.bundle does not exist. Make it: reachy-kit export"),
        ("track sound-orient --robot sim", "take --robot daemon"),
        ("track sound-orient --robot daemon", "name one of this computer, as in --microphone default"),
        ("idle --robot sim --microphone default", "--microphone has no use here"),
        ("idle --speaker nothing --robot sim", "--speaker nothing: "),
        ("idle --teleop keyboard --out data", "--teleop corrects one bundle"),
    ],
)
def test_what_cannot_run_is_refused_before_a_robot_is_sought(kit, arguments, said):
    kit.run("run", *arguments.split()).says(2, said)
