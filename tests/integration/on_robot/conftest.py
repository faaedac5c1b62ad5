"""A real sshd on this computer, an environment without LeRobot or torch behind it, and a desktop that knows it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from reachy_kit.deploy.robot_shell import open_shell
from reachy_kit.deploy.ssh_login import parse_ssh_address
from reachy_kit.runtime.behaviours.recorded_move import RecordedMove, write_move

from .robots_computer import NoPerson, RobotsComputer


@pytest.fixture(scope="session")
def robots_python(make_once, environment_type):
    """An environment with the SDK and what it needs, and what the runtime needs; nothing of reachy-kit."""

    def make(folder):
        venv.create(folder, symlinks=True)
        environment = environment_type(folder)
        environment.keep_on_this_computer()
        for name in ("reachy-mini", "websockets", "av", "numpy", "onnxruntime", "opencv-python-headless", "pyarrow"):
            environment.link(Requirement(name))

    return make_once("robots_python", make)


@pytest.fixture
def robots_computer(robots_python, tmp_path, until):
    folder = tmp_path / "robot"
    for name in ("home", "bin"):
        (folder / name).mkdir(parents=True)
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "no sshd here: .ci/setup --ssh-server installs it"
    if os.getuid() == 0:
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
SetEnv HOME={folder}/home PATH={folder}/bin:{robots_python}/bin:/usr/bin:/bin
"""
    )
    server = subprocess.Popen([program, "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.DEVNULL)

    def answers():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(answers, 10)
    computer = RobotsComputer(folder, port, server)
    yield computer
    if computer.status.get("ended") is False:
        with contextlib.suppress(ProcessLookupError):
            os.kill(computer.status["pid"], signal.SIGKILL)
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


@pytest.fixture
def shell(robots_computer, desktop, monkeypatch):
    """A connection to the robot's computer."""
    monkeypatch.setenv("HOME", str(robots_computer.folder.parent / "desktop"))
    with open_shell(parse_ssh_address(robots_computer.host), NoPerson()) as shell:
        yield shell
