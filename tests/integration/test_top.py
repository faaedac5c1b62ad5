"""A run that publishes, and `top`, which shows it, the robot's daemon and who drives, and commands nothing."""

import contextlib
import json
import os
import select
import signal
import socket
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from reachy_kit.runtime.interface import NEUTRAL, YAW
from reachy_kit.runtime.robots.link.driver_lock import DriverLock

LOOKING_LEFT = NEUTRAL + 0.5 * (np.arange(9) == YAW)
ON_TERMINAL = "import os, sys; os.dup2(2, 1); sys.stdout = open(1, 'w', closefd=False)"
"""Python for a command's process: standard output is the terminal too."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def metrics_at(port):
    """Name and labels → value; empty while nothing is published."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Relay:
    """Passes connections on to a daemon, for as long as it is open."""

    def __init__(self, daemon, port):
        self._daemon, self._open = daemon, []
        self._server = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection((self._daemon.address.host, self._daemon.address.port))
                self._open += [near, far]
                threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near, far):
        with contextlib.suppress(OSError, ValueError):
            while True:
                for side in select.select([near, far], [], [])[0]:
                    data = side.recv(65536)
                    if not data:
                        return
                    (far if side is near else near).sendall(data)
        for side in (near, far):
            side.close()

    def close(self):
        for part in (self._server, *self._open):
            with contextlib.suppress(OSError):
                part.shutdown(socket.SHUT_RDWR)
            part.close()


# --- a run -------------------------------------------------------------------------------------------------------


def test_a_run_publishes_and_top_shows_it(kit, daemon, make_bundle, until):
    port = free_port()
    run = kit.start(
        "run", make_bundle(LOOKING_LEFT), "--robot", daemon.address, "--no-camera", "--seconds", 600,
        "--telemetry", "run.jsonl", "--metrics", port,
    )  # fmt: skip
    until(lambda: metrics_at(port).get(("reachy_kit_ticks_total",), 0) > 60)
    scraped = metrics_at(port)
    shown = kit.run("top", daemon.address, "--metrics", port, "--json").json
    page = kit.run("top", daemon.address, "--metrics", port, "--once")
    run.send(signal.SIGINT)
    result = run.wait()
    assert result.code == 130, result
    assert f"to watch it: reachy-kit top {daemon.address} --metrics {port}" in result.err

    assert shown["driver"] == f"run stubborn.bundle (process {run.pid})"
    assert shown["daemon"]["state"] == "running"
    assert shown["daemon"]["motors"] == "enabled"
    assert shown["daemon"]["simulated"] is True
    assert shown["run"]["robot"] == str(daemon.address)
    assert shown["run"]["limited"]["acceleration"] > 0
    assert 0.015 < shown["run"]["quantities"]["period"]["p50"] < 0.2, "in s"
    assert 0 < shown["run"]["quantities"]["state_age"]["p50"] < 2
    for words in ("running", "motors enabled", "run stubborn.bundle", "tick period", "state age", "acceleration"):
        assert words in page.out, page

    assert scraped["reachy_kit_limiter_interventions_total", "acceleration"] > 0
    lines = [json.loads(line) for line in (kit.folder / "run.jsonl").read_text().splitlines()]
    ticks = [line["ticks"] for line in lines]
    assert ticks == sorted(ticks)
    assert ticks[-1] >= shown["run"]["ticks"] >= scraped["reachy_kit_ticks_total",] > 60
    assert lines[-1]["limited"]["acceleration"] >= shown["run"]["limited"]["acceleration"]
    assert metrics_at(port) == {}, "nothing is published after the run"


def test_a_simulated_run_publishes_without_a_daemon(kit, make_bundle):
    result = kit.run("run", make_bundle(NEUTRAL), "--robot", "sim", "--seconds", 2, "--telemetry", "run.jsonl")
    assert result.code == 0, result
    [*_, line] = (kit.folder / "run.jsonl").read_text().splitlines()
    assert (json.loads(line)["ticks"], json.loads(line)["late_ticks"]) == (100, None)


# --- the daemon alone --------------------------------------------------------------------------------------------


def test_top_works_with_the_daemon_alone_and_names_a_program_of_this_computer_that_drives(kit, daemon):
    nowhere = free_port()
    shown = kit.run("top", daemon.address, "--metrics", nowhere, "--json").json
    assert (shown["driver"], shown["run"]) == ("", None)
    assert shown["daemon"]["motors"] in ("enabled", "disabled")
    assert 0 < shown["answer_seconds"]["latest"] < 10
    with contextlib.closing(DriverLock(daemon.address)) as lock:
        lock.acquire()
        driven = kit.run("top", daemon.address, "--metrics", nowhere, "--json").json
        assert driven["driver"].endswith(f"(process {os.getpid()} of this computer)")
        DriverLock(daemon.address)
    page = kit.run("top", daemon.address, "--metrics", nowhere)
    assert page.code == 0, page
    assert "none that the daemon knows of" in page.out
    assert f"none publishes at 127.0.0.1:{nowhere}" in page.out


def test_a_move_of_the_daemon_is_named_as_the_driver(kit, daemon, until):
    move = daemon.post("move/goto", {"head_pose": {"z": 0.0}, "duration": 300.0})
    try:
        shown = kit.run("top", daemon.address, "--metrics", free_port(), "--json").json
    finally:
        daemon.post("move/stop", move)
    assert shown["driver"] == "a move that the daemon plays"
    until(lambda: daemon.get("move/running") == [])


def test_nothing_there_is_no_robot(kit):
    address = f"127.0.0.1:{free_port()}"
    result = kit.run("top", address, "--metrics", free_port(), "--once")
    result.says(3, f"no Reachy Mini daemon answers at {address}", "no run publishes at 127.0.0.1:")


@pytest.mark.parametrize("host", ["127.0.0.1:http", "127.0.0.1:99999", "127.0.0.1:"])
def test_an_address_that_is_none_is_wrong_use(host, kit):
    kit.run("top", host).says(2, "the port must be a number")


def test_something_else_at_the_port_of_a_run_is_not_a_run(kit, daemon):
    shown = kit.run("top", daemon.address, "--metrics", daemon.address.port, "--json").json
    assert shown["run"] is None


# --- live --------------------------------------------------------------------------------------------------------


def test_top_outlives_its_daemon_and_finds_it_again(kit, daemon, open_terminal):
    port, terminal = free_port(), open_terminal(columns=110)
    top = kit.start(
        "top", f"127.0.0.1:{port}", "--metrics", free_port(), "--interval", 0.2, terminal=terminal, before=ON_TERMINAL
    )
    terminal.wait("does not answer")
    relay = Relay(daemon, port)
    terminal.wait(r"daemon +running")
    relay.close()
    terminal.wait(r"does not answer · its last answer was \d s ago")
    with contextlib.closing(Relay(daemon, port)):
        terminal.wait(r"daemon +running")
        top.send(signal.SIGINT)
        result = top.wait()
    assert result.code == 0, result
    assert "Traceback" not in terminal.shown
    assert terminal.is_restored
    assert terminal.shows_its_cursor


@pytest.mark.parametrize(("rows", "columns"), [(5, 30), pytest.param(40, 20, marks=pytest.mark.long)])
def test_top_fits_a_small_terminal(rows, columns, kit, daemon, open_terminal):
    terminal = open_terminal(rows=rows, columns=columns)
    top = kit.start(
        "top", daemon.address, "--metrics", free_port(), "--interval", 0.2, terminal=terminal, before=ON_TERMINAL
    )
    terminal.wait("running")
    terminal.wait("running")
    top.send(signal.SIGTERM)
    assert top.wait().code == 128 + signal.SIGTERM
    pages = terminal.shown.replace("reachy-kit", "\nreachy-kit")  # one is drawn over the other
    assert max(len(line) for line in pages.splitlines()) <= columns, pages
    assert terminal.shows_its_cursor


# --- wrong use of run --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["http", "99999", "127.0.0.1:"])
def test_a_port_that_is_none_is_wrong_use_before_the_robot_moves(port, kit, make_bundle, daemon):
    result = kit.run("run", make_bundle(NEUTRAL), "--robot", daemon.address, "--no-camera", "--metrics", port)
    result.says(2, f"--metrics {port} is not PORT or HOST:PORT")
    assert daemon.lies_down


def test_a_port_in_use_is_wrong_use_before_the_robot_moves(kit, make_bundle, daemon):
    port = daemon.address.port
    result = kit.run("run", make_bundle(NEUTRAL), "--robot", daemon.address, "--no-camera", "--metrics", port)
    result.says(2, f"--metrics 127.0.0.1:{port}", "in use")
    assert daemon.lies_down


def test_a_file_of_something_else_is_kept(kit, make_bundle, daemon):
    (kit.folder / "notes.txt").write_text("mine\n")
    result = kit.run("run", make_bundle(NEUTRAL), "--robot", daemon.address, "--no-camera", "--telemetry", "notes.txt")
    result.says(4, "--telemetry notes.txt exists and is not a file of telemetry")
    assert (kit.folder / "notes.txt").read_text() == "mine\n"
    assert daemon.lies_down
