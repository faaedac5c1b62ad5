"""The whole path of a person: demonstrate, check, train, evaluate, export, and run on the daemon."""

import math
import time

import pytest

from reachy_kit.runtime.teleop.gamepad_device import DEAD_ZONE

from .gamepad import Gamepad

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


class KeyboardPerson:
    """Looks at the screen, and presses keys."""

    device = "keyboard"
    before = ""

    def __init__(self, terminal, folder):
        self._terminal = terminal

    def start(self):
        self._terminal.press("enter")

    def keep(self):
        self._terminal.press("y")

    def redo(self):
        self._terminal.press("r")

    def discard(self):
        self._terminal.press("x")

    def steer(self, right, up):
        for angle, keys in ((right, ("right", "left")), (up, ("up", "down"))):
            if abs(angle) > 1:
                key = keys[angle < 0]
                self._terminal.press(key if abs(angle) > 4 else f"s-{key}")

    def let_go(self):
        """A key is let go by itself."""


class GamepadPerson:
    """Looks at the screen, and holds a gamepad."""

    device = "gamepad"

    def __init__(self, terminal, folder):
        self._pad = Gamepad(folder)
        self.before = self._pad.before

    def start(self):
        self._pad.push("a")

    def keep(self):
        self._pad.push("y")

    def redo(self):
        self._pad.push("x")

    def discard(self):
        self._pad.push("back")

    def steer(self, right, up):
        def share(angle):
            """Of the stick's way: 1.5 times the angle per second, within the 86° per second of a stick at its end."""
            way = DEAD_ZONE + (1 - DEAD_ZONE) * min(1.5 * abs(angle) / 86, 1.0) ** 0.5
            return 0.0 if abs(angle) <= 1 else math.copysign(way, angle)

        self._pad.do("move", rightx=share(right), righty=-share(up))

    def let_go(self):
        self._pad.do("move", rightx=0.0, righty=0.0)


def look(terminal, person, seconds=10.0):
    """Turn the head towards the target that the screen shows, until it is looked at for half a second."""
    deadline, near = time.monotonic() + seconds, 0
    while near < 5 and time.monotonic() < deadline:
        time.sleep(0.1)  # a person's pace
        target = terminal.latest(r"target (\d+)° (right|left), (\d+)° (above|below)")
        if target is None:
            continue
        right = int(target[1]) * (1 if target[2] == "right" else -1)
        up = int(target[3]) * (1 if target[4] == "above" else -1)
        person.steer(right, up)
        near = near + 1 if max(abs(right), abs(up)) <= 2 else 0
    person.let_go()


@pytest.mark.parametrize("make_person", [KeyboardPerson, GamepadPerson], ids=lambda make: make.device)
def test_a_person_teaches_it_to_look_and_the_daemon_runs_what_it_learned(
    make_person, kit, open_terminal, shared_daemon
):
    terminal = open_terminal()
    person = make_person(terminal, kit.folder)
    command = kit.start(
        "record", "--teleop", person.device, "--robot", "sim", "--episodes", 10, "--operator", "anna", "--out", "data",
        terminal=terminal, before=person.before,
    )  # fmt: skip
    kept, discarded, redone = 0, False, False
    while kept < 10:
        terminal.wait(f"READY +{kept} of 10 episodes")
        time.sleep(0.3)
        person.start()
        terminal.wait("RECORDING")
        look(terminal, person)
        if kept == 3 and not redone:
            person.redo()
            terminal.wait("discarded; record it again")
            redone = True
        elif kept == 6 and not discarded:
            person.discard()
            terminal.wait(r"take \d+ discarded")
            discarded = True
        else:
            person.keep()
            terminal.wait(f"kept as episode {kept}")
            kept += 1
    assert command.wait().code == 0
    assert terminal.is_restored
    checked = kit.run("dataset", "check", "data")
    assert checked.code == 0, checked
    trained = kit.run("train", "imitation", "--dataset", "data", "--out", "run", "--set", "max_steps=1500")
    assert trained.code == 0, trained
    evaluated = kit.run("eval", "run", "--episodes", 20, "--json")
    assert evaluated.code == 0, evaluated
    assert evaluated.json["evaluations"][0]["error"]["median"] < 30, evaluated.out
    assert kit.run("export", "run", "--out", "look.bundle").code == 0
    ran = kit.run("run", "look.bundle", "--robot", "daemon", "--episodes", 1)
    assert ran.code == 0, ran
