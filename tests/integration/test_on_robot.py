"""Recording on the robot's own computer: a real sshd, an environment without LeRobot or torch, the simulated daemon."""

import json
import os
import signal
import socket
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from packaging.requirements import Requirement

from reachy_kit.deploy.runtime_installation import FOLDER
from reachy_kit.runtime.recording.on_robot.recording_order import LOG, STATUS
from reachy_kit.runtime.teleop.inputs.recorded_move import RecordedMove, write_move

HEAVY = "torch", "lerobot", "mujoco", "gymnasium", "reachy_sim"


@dataclass
class RobotsComputer:
    """The robot's own computer, as SSH shows it."""

    folder: Path
    port: int
    server: subprocess.Popen

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def base(self) -> Path:
        return self.home / FOLDER

    @property
    def status(self) -> dict:
        try:
            return json.loads((self.base / "recorder" / STATUS).read_text()) or {}
        except OSError:
            return {}

    @property
    def log(self) -> str:
        return (self.base / "recorder" / LOG).read_text()

    @property
    def episodes(self) -> list[Path]:
        return sorted(self.base.glob("recordings/*/episodes/*/episode.json"))

    def cut(self) -> None:
        """Break every connection, as a Wi-Fi does; the next one works."""
        for child in psutil.Process(self.server.pid).children(recursive=True):
            if "sshd" in child.name():
                child.kill()


@pytest.fixture(scope="session")
def robots_python(make_once, environment_type):
    """An environment with the SDK and what it needs, and what the runtime needs; nothing of reachy-kit."""

    def make(folder):
        venv.create(folder, symlinks=True)
        environment = environment_type(folder)
        for name in ("reachy-mini", "websockets", "av", "numpy", "onnxruntime", "opencv-python-headless", "pyarrow"):
            environment.link(Requirement(name))

    return make_once("robots_python", make)


@pytest.fixture
def robots_computer(robots_python, tmp_path, until):
    folder = tmp_path / "robot"
    (folder / "home").mkdir(parents=True)
    Path("/run/sshd").mkdir(parents=True, exist_ok=True)
    for key in ("host", "desktop"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"""Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/desktop.pub
StrictModes no
PasswordAuthentication no
Subsystem sftp internal-sftp
SetEnv HOME={folder}/home PATH={robots_python}/bin:/usr/bin:/bin
"""
    )
    server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.DEVNULL)

    def answers():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(answers, 10)
    computer = RobotsComputer(folder, port, server)
    yield computer
    if (pid := computer.status.get("pid")) and psutil.pid_exists(pid):
        os.kill(pid, signal.SIGKILL)
    computer.cut()
    server.kill()
    server.wait()


@pytest.fixture
def desktop(robots_computer, tmp_path):
    """What a command on the desktop needs first: a home with the key, which knows the robot."""
    ssh = tmp_path / "desktop/.ssh"
    ssh.mkdir(parents=True, mode=0o700)
    (robots_computer.folder / "desktop").rename(ssh / "id_ed25519")
    kind, key, *_ = (robots_computer.folder / "host.pub").read_text().split()
    (ssh / "known_hosts").write_text(f"[127.0.0.1]:{robots_computer.port} {kind} {key}\n")
    return f"import os; os.environ['HOME'] = {str(ssh.parent)!r}"


@pytest.fixture
def nod(tmp_path):
    """A recorded move of a second: the head nods."""
    count = 50
    targets = np.zeros((count, 9))
    targets[:, 4] = 0.2 * np.sin(np.linspace(0, 2 * np.pi, count))
    path = tmp_path / "nod.json"
    write_move(path, RecordedMove("nod", "The head nods.", np.arange(count) / 50, targets))
    return path


def test_a_take_is_recorded_on_the_robot_and_becomes_a_dataset_at_home(robots_computer, desktop, daemon, nod, kit):
    recorded = kit.run(
        "record", "--on-robot", robots_computer.host, "--robot", daemon.address, "--teleop", f"move:{nod}",
        "--episodes", 2, "--out", "data", "--json", before=desktop,
    )  # fmt: skip
    assert recorded.code == 0, recorded.err + robots_computer.log
    assert recorded.json["episodes"] == 2
    print(recorded.err)
