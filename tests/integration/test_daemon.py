"""The simulated daemon that a command starts: it ends with the command, and its death is noticed."""

import contextlib
import http.server
import json
import signal
import socket
import threading
import urllib.error
import urllib.request

import psutil
import pytest

from reachy_kit.runtime.errors import NoRobotError
from reachy_kit.runtime.interface import CAMERA
from reachy_kit.runtime.robots import daemon as daemon_module
from reachy_kit.runtime.robots.daemon import daemon_status, simulated_daemon
from reachy_kit.workflows.inputs.session import open_session
from reachy_sim.tasks import variant_by_name


def our_daemons():
    return {
        child.pid
        for child in psutil.Process().children()
        if any("reachy-mini-daemon" in part for part in child.cmdline())
    }


@pytest.fixture
def daemon_on_the_default_port(monkeypatch):
    """A stand-in for a daemon, with the status that a test chooses: only a real robot's reports no simulation."""
    says = {"type": "daemon_status", "state": "running", "simulation_enabled": False, "mockup_sim_enabled": False}

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(says).encode())

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(daemon_module, "DEFAULT_PORT", server.server_port)
        yield says
        server.shutdown()


def test_a_simulated_daemon_that_runs_already_is_used(daemon_on_the_default_port):
    daemon_on_the_default_port["simulation_enabled"] = True
    before = our_daemons()
    with simulated_daemon() as address:
        assert address.port == daemon_module.DEFAULT_PORT
        assert our_daemons() == before


def test_a_real_robot_on_the_default_port_is_left_alone_and_our_own_daemon_ends_with_the_block(
    daemon_on_the_default_port,
):
    before = our_daemons()
    with simulated_daemon() as address:
        assert address.port != daemon_module.DEFAULT_PORT
        [ours] = our_daemons() - before
        assert daemon_status(address)["simulation_enabled"]
    assert not psutil.pid_exists(ours)
    assert daemon_status(address) is None


def test_a_daemon_that_cannot_start_says_why(no_other_daemon, monkeypatch, tmp_path):
    broken = tmp_path / "reachy-mini-daemon"
    broken.write_text("#!/bin/sh\necho 'libegl is missing'\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(daemon_module, "_command", lambda: broken)
    with pytest.raises(NoRobotError, match="ended at once: libegl is missing"), simulated_daemon():
        pass


@pytest.fixture
def proxy(monkeypatch, tmp_path):
    """A socket through which everything that leaves this computer would go; what has knocked there."""
    knocks = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        knocks.append(connection.recv(200))

        threading.Thread(target=listen, daemon=True).start()
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.getsockname()[1]}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        yield knocks


def test_our_daemon_tells_its_maker_nothing(no_other_daemon, proxy, tmp_path):
    before = our_daemons()
    with simulated_daemon() as address:
        [ours] = our_daemons() - before
        with (
            contextlib.suppress(urllib.error.HTTPError),  # SDK 1.12 has no telemetry
            urllib.request.urlopen(f"http://{address}/api/telemetry") as answer,
        ):
            assert json.load(answer)["disabled_by_env"]
        remote = {connection.raddr.ip for connection in psutil.Process(ours).net_connections() if connection.raddr}
        assert remote <= {"127.0.0.1"}
    assert proxy == []  # it would have sent what it had gathered at its end
    assert not list(tmp_path.rglob("telemetry_state.json"))


@pytest.mark.long
def test_the_daemon_dies_in_the_middle_of_a_recording_which_is_then_resumed(kit, until):
    data = kit.folder / "data"

    def saved():
        info = data / "meta/info.json"
        return info.exists() and json.loads(info.read_text())["total_episodes"]

    record = ("record", "--robot", "daemon", "--out", data, "--episodes", 2)
    command = kit.start(*record)
    until(saved)
    command.daemon.kill()  # in the middle of the second
    command.wait().says(3, "lost the robot at 127.0.0.1:", "What was saved before is kept")

    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    first = LeRobotDataset("local/data", root=data)
    assert first.num_episodes == 1
    assert len(first) == first.meta.total_frames

    command = kit.start(*record)
    daemon = until(lambda: command.daemon)
    assert command.wait().code == 0
    assert LeRobotDataset("local/data", root=data).num_episodes == 2
    assert not psutil.pid_exists(daemon.pid)


def test_a_command_that_is_killed_takes_its_daemon_along(kit, until):
    command = kit.start("record", "--robot", "daemon", "--out", "data")
    daemon = until(lambda: command.daemon)
    [port] = [daemon.cmdline()[i + 1] for i, part in enumerate(daemon.cmdline()) if part == "--fastapi-port"]
    address = daemon_module.DaemonAddress("127.0.0.1", int(port))
    until(lambda: (daemon_status(address) or {}).get("state") == "running")
    command.send(signal.SIGKILL)
    until(lambda: not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.long
def test_a_daemon_that_freezes_is_noticed(kit, daemon, make_bundle, until):
    import numpy as np

    from reachy_kit.runtime.interface import NEUTRAL, YAW

    looking_left = NEUTRAL + 0.5 * (np.arange(9) == YAW)
    command = kit.start("run", make_bundle(looking_left), "--robot", daemon.address, "--no-camera", "--seconds", 30)
    until(lambda: daemon.state[YAW] > 0.3)
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        command.wait(within=40).says(3, "lost the robot", "it has stopped sending measurements")
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def test_a_session_on_the_daemon_has_the_head_camera_with_geometry_too(daemon, monkeypatch):
    monkeypatch.setattr(daemon_module, "DEFAULT_PORT", daemon.address.port)
    with open_session("daemon", variant_by_name("look_at"), "geometry", camera=True) as session:
        image = session.robot.get_observation().images[CAMERA]
        assert session.perception_name == "geometry"
        assert image.shape == session.image_shape


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_policy_that_learned_on_the_ball_follows_a_face_through_the_daemon(kit, tmp_path):
    """Four episodes; twenty succeeded on a busy computer (reachy_kit/runtime/perception/README.md)."""

    def run(*arguments):
        result = kit.start(*arguments).wait(within=600)
        assert result.code == 0, result.err
        return result

    data, imitation, improved, bundle = (tmp_path / name for name in ("data", "imitation", "improved", "track.bundle"))
    hard = ("--task", "track", "--variant", "hard")
    run("record", *hard, "--episodes", 30, "--out", data)
    run("train", "imitation", "--dataset", data, "--out", imitation)
    run("train", "rl", "--init", imitation, *hard, "--randomization", "wide", "--iterations", 15, "--out", improved)
    run("export", improved, "--out", bundle)
    evaluating = ("--task", "track", "--robot", "daemon", "--target", "face", "--episodes", 4, "--json")
    (evaluated,) = run("eval", bundle, *evaluating).json["evaluations"]
    assert evaluated["robot"].startswith("127.0.0.1")
    assert sum(evaluated["successes"]) >= 3, evaluated
