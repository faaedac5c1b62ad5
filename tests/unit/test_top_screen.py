"""The page of `reachy-kit top`: what it says of a robot, and that it fits the terminal."""

import io
import time
from dataclasses import replace

import pytest
from rich.console import Console

from reachy_kit.cli.reporting.top_screen import draw
from reachy_kit.runtime.robots.daemon import DaemonAddress
from reachy_kit.runtime.telemetry.machine_health import MachineHealth
from reachy_kit.runtime.telemetry.metrics_server import MetricsAddress
from reachy_kit.runtime.telemetry.recent_values import Distribution
from reachy_kit.runtime.telemetry.run_snapshot import QUANTITIES, RunSnapshot
from reachy_kit.workflows.top import DaemonSnapshot, RobotView, watching_command

COOL = MachineHealth({"cpu-thermal": 54.2}, {"throttled": False}, {"under-voltage": False})
RUN = RunSnapshot(
    time=time.time(), started=time.time() - 7500, process=4711, command="run track idle", robot="127.0.0.1:8000",
    driver="idle", driver_name="idle", episodes=1, ticks=375_000, late_ticks=12, recent_late_ticks=1, since_tick=0.01,
    quantities={name: Distribution(0.0201, 0.02, 0.0254, 0.0312, 375_000, 7500.0) for name in QUANTITIES},
    limited={"speed": 40, "reach": 0, "acceleration": 90}, memory=150_000_000, machine=COOL,
)  # fmt: skip
DAEMON = DaemonSnapshot(
    name="reachy_mini", state="running", version="1.13.0", simulated=False, motors="gravity_compensation", error="",
    in_charge="", move_plays=False, hertz=49.7, longest_interval=0.031,
)  # fmt: skip
VIEW = RobotView(
    address=DaemonAddress("127.0.0.1"), metrics=MetricsAddress(), daemon=DAEMON,
    answered=Distribution(0.004, 0.003, 0.02, 0.02, 9, 0.1), silent_for=0.1, run=RUN, machine=COOL, local_driver=None,
)  # fmt: skip


def page(view, width=100, **run):
    """Its lines, and the words on it that are red."""
    view = replace(view, run=replace(view.run, **run)) if run else view
    console = Console(width=width, file=io.StringIO(), record=True, force_terminal=True, color_system="standard")
    console.print(draw(view, width))
    segments = console.export_text(styles=True, clear=False)
    red = [part.partition("\x1b[0m")[0] for part in segments.split("\x1b[1;31m")[1:]]
    return console.export_text(), " ".join(red)


def test_a_robot_that_is_well_is_shown_without_red():
    text, red = page(VIEW)
    for words in (
        "running · reachy_mini · version 1.13.0 · motors gravity compensation",
        "49.7 Hz · longest interval 31 ms",
        "idle, of run track idle (process 4711)",
        "1 episode · 2.1 h · 150 MB",
        "375000 ticks · late: 1 of the last 3000 · 12 in all",
        "changed in ticks: acceleration 90, speed 40",
        "54 °C (cpu-thermal) · not held back",
    ):
        assert words in text, text
    assert "20.1     20.0     25.4     31.2" in text
    assert red == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"daemon": None, "silent_for": 12.0}, "does not answer"),
        ({"daemon": replace(DAEMON, state="stopped")}, "stopped"),
        ({"daemon": replace(DAEMON, state="error", error="no motor 14")}, "no motor 14"),
        ({"machine": replace(COOL, temperatures={"cpu-thermal": 84.0})}, "84 °C (cpu-thermal)"),
        ({"machine": replace(COOL, throttled={"under-voltage": True})}, "held back: under-voltage"),
    ],
)
def test_what_is_wrong_is_red(changes, says):
    text, red = page(replace(VIEW, **changes))
    assert says in text
    assert says in red


@pytest.mark.parametrize(
    ("run", "says"),
    [({"recent_late_ticks": 200}, "late: 200 of the last 3000"), ({"since_tick": 7.0}, "stands still since 7 s")],
)
def test_a_loop_that_is_late_or_stands_still_is_red(run, says):
    text, red = page(VIEW, **run)
    assert says in text
    assert says in red


def test_what_was_held_back_before_is_told_from_what_is_now():
    machine = replace(COOL, was_throttled={"under-voltage": True})
    text, red = page(replace(VIEW, machine=machine))
    assert "not held back · was held back: under-voltage" in text
    assert red == ""


@pytest.mark.parametrize(
    ("changes", "driver"),
    [
        ({"daemon": replace(DAEMON, in_charge="the app dance")}, "the app dance"),
        ({"run": None, "daemon": replace(DAEMON, move_plays=True)}, "a move that the daemon plays"),
        ({"run": None}, "none that the daemon knows of"),
        ({"run": None, "daemon": None}, "not known"),
        ({"run": replace(RUN, robot="127.0.0.1:8001")}, "none that the daemon knows of"),
    ],
)
def test_the_driver_is_named_as_far_as_it_is_known(changes, driver):
    text, _ = page(replace(VIEW, **changes))
    assert f"driver   {driver}" in text


def test_a_run_on_another_robot_is_shown_as_such():
    text, _ = page(VIEW, robot="127.0.0.1:8001")
    assert "run track idle · on 127.0.0.1:8001" in text


def test_a_run_that_has_not_begun_and_a_computer_that_cannot_be_read():
    run = replace(RUN, ticks=0, since_tick=None, quantities={}, limited={}, late_ticks=0, recent_late_ticks=0)
    text, red = page(replace(VIEW, run=run, machine=None))
    assert "loop     has not begun" in text
    assert "limiter" not in text
    assert "computer not readable from here" in text
    assert red == ""


@pytest.mark.parametrize("width", [20, 30, 55, 56, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    text, _ = page(VIEW, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert ("p50" in text) == (width >= 56)
    assert len(text.splitlines()) <= 24


@pytest.mark.parametrize(
    ("robot", "host", "port", "arguments"),
    [
        ("sim", "127.0.0.1", 9100, "127.0.0.1"),
        ("127.0.0.1:8000", "127.0.0.1", 9200, "127.0.0.1:8000 --metrics 9200"),
        ("localhost:8000", "0.0.0.0", 9100, "localhost:8000"),
        ("192.0.2.7:8000", "127.0.0.1", 9100, "192.0.2.7:8000 --metrics 127.0.0.1:9100"),
        ("192.0.2.7:8000", "0.0.0.0", 9100, "192.0.2.7:8000 --metrics 127.0.0.1:9100"),
        ("192.0.2.7:8000", "192.0.2.9", 9200, "192.0.2.7:8000 --metrics 192.0.2.9:9200"),
        ("127.0.0.1:8000", "192.0.2.9", 9100, "127.0.0.1:8000 --metrics 192.0.2.9:9100"),
        ("192.0.2.7:8000", "192.0.2.7", 9100, "192.0.2.7:8000"),
    ],
)
def test_the_command_that_shows_a_run_looks_where_it_publishes(robot, host, port, arguments):
    assert watching_command(robot, MetricsAddress(host, port)) == f"reachy-kit top {arguments}"
