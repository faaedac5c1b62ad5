"""Recording on the robot's own computer: a real sshd, an environment without LeRobot or torch, the simulated daemon."""

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import numpy as np
import psutil
import pytest
from packaging.requirements import Requirement

from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.dataset.saving.imported_takes import IMPORTED_TAKES
from reachy_kit.deploy import runtime_installation
from reachy_kit.deploy.robot_python import RobotPython, find_python
from reachy_kit.deploy.robot_shell import open_shell
from reachy_kit.deploy.robot_wheels import wheels_for
from reachy_kit.deploy.runtime_installation import FOLDER, install_runtime
from reachy_kit.deploy.ssh_login import LoginPassword, parse_ssh_address
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.recording.episode_files import EpisodeFiles, sha256
from reachy_kit.runtime.recording.on_robot.recording_order import LOG, STATUS
from reachy_kit.runtime.recording.schema import ACTION, CAPTURE_TIME, SEED
from reachy_kit.runtime.teleop.inputs.recorded_move import RecordedMove, read_moves, write_move
from reachy_kit.workflows.datasets.dataset_care import drop_episodes, merge_datasets
from reachy_kit.workflows.recording.robot_recording import RobotRecording, record_on_robot, send_teleop
from reachy_sim.tasks import variant_by_name

from .saved_episodes import LABELS, STATE, episode, write

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
    def first_on_path(self) -> Path:
        return self.folder / "bin"

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

    def stall(self) -> None:
        """Let every connection fall silent, as a Wi-Fi does; the next one works."""
        self._send(signal.SIGSTOP)

    def cut(self) -> None:
        """End every connection."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        for child in psutil.Process(self.server.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                if "sshd" in child.name():
                    child.send_signal(number)


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
def arguments(robots_computer, daemon, nod):
    """Arguments of the command that records nods."""
    place = "--on-robot", robots_computer.host, "--robot", daemon.address
    return "record", *place, "--teleop", f"move:{nod}", "--out", "data", "--json"


class NoPerson:
    """Nobody answers."""

    def accept_key(self, host, fingerprint):
        return False

    def password(self, login):
        return None


@pytest.fixture
def shell(robots_computer, desktop, monkeypatch):
    """A connection to the robot's computer."""
    monkeypatch.setenv("HOME", str(robots_computer.folder.parent / "desktop"))
    with open_shell(parse_ssh_address(robots_computer.host), NoPerson()) as shell:
        yield shell


# --- recording ---------------------------------------------------------------------------------------------------


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
        assert np.diff(columns[CAPTURE_TIME].ravel()).max() < 0.2
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


@pytest.mark.parametrize("device, words", [("keyboard", "needs a terminal"), ("gamepad", "gamepad")])
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


# --- bringing episodes home --------------------------------------------------------------------------------------


@dataclass
class TakesOnRobot:
    """A dataset's folder on the robot, and the command that brings home what is in it."""

    computer: RobotsComputer
    out: Path
    person: "Person"

    @property
    def folder(self):
        variant = variant_by_name("look_at", "training")
        asked = RobotRecording(
            self.out, parse_ssh_address(self.computer.host), variant, "hand", 1, False, 25, 0, None, "", ()
        )
        return self.computer.base / "recordings" / asked.session

    def write(self, *numbers):
        sink = EpisodeFiles(self.folder, STATE)
        for number in numbers:
            sink.write(episode(number), LABELS)

    def bring(self):
        """Ask for one episode, so that nothing is left to record."""
        return record_on_robot(
            self.out, self.computer.host, variant_by_name("look_at", "training"), self.person, teleop="hand",
            episodes=1, camera=False, hz=25, seed=0,
        )  # fmt: skip


class Person(NoPerson):
    """Answers whether to remove what was brought home."""

    removes = True
    asked = 0

    def remove_from_robot(self, episodes, robot):
        self.asked += 1
        return self.removes


@pytest.fixture
def takes(robots_computer, desktop, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "desktop"))
    return TakesOnRobot(robots_computer, tmp_path / "data", Person())


def first_actions(root):
    dataset = open_for_reading(root)
    return [dataset.read(entry.table, ACTION)[entry.index][ACTION][0].tolist() for entry in dataset.episodes]


def action_of(number):
    return episode(number)[0][ACTION].tolist()


def test_takes_whose_seeds_were_recorded_elsewhere_too_are_brought_home_before_they_are_removed(takes):
    write(takes.out, (0, 1))
    there = EpisodeFiles(takes.folder, STATE)
    for number in (0, 1):  # other motions with the seeds of the dataset's episodes
        frames = episode(number + 7)
        for frame in frames:
            frame[SEED] = np.array([1_000_000 + number])
        there.write(frames, LABELS)
    assert takes.bring() == 4
    assert first_actions(takes.out) == [action_of(number) for number in (0, 1, 7, 8)]
    assert takes.computer.episodes == []
    assert takes.person.asked == 1


def test_an_episode_that_was_dropped_or_forgotten_does_not_come_back(takes):
    takes.write(0, 1, 2)
    takes.person.removes = False
    assert takes.bring() == 3
    drop_episodes(takes.out, [1])
    assert takes.bring() == 2
    merge_datasets([takes.out, takes.out], takes.out.with_name("merged"))
    shutil.rmtree(takes.out)
    takes.out.with_name("merged").rename(takes.out)
    assert takes.bring() == 4
    assert first_actions(takes.out) == [action_of(number) for number in (0, 2, 0, 2)]
    assert "operator" not in (takes.out / IMPORTED_TAKES).read_text()


def test_what_an_earlier_pull_left_does_not_replace_newer_takes(takes):
    takes.write(0, 1)
    stale = takes.out.with_name(f".{takes.out.name}.from-robot")
    shutil.copytree(takes.folder, stale)
    shutil.rmtree(takes.folder)
    takes.write(3, 4)
    assert takes.bring() == 2
    assert first_actions(takes.out) == [action_of(number) for number in (3, 4)]
    assert not stale.exists()


# --- logging in --------------------------------------------------------------------------------------------------


def test_a_robot_that_is_not_known_is_shown_and_not_trusted_by_itself(robots_computer, desktop, kit, tmp_path):
    known = tmp_path / "desktop/.ssh/known_hosts"
    known.unlink()
    refused = kit.run("record", "--on-robot", robots_computer.host, "--out", "data", before=desktop)
    refused.says(4, "the key of", "was not confirmed", "ssh -p")
    key = subprocess.run(
        ["ssh-keygen", "-lf", robots_computer.folder / "host"], check=True, capture_output=True, text=True
    )
    assert key.stdout.split()[1] in refused.err  # the fingerprint that the robot's owner can read there
    assert not known.exists()


def test_a_robot_with_another_key_than_before_is_refused(robots_computer, desktop, kit, tmp_path):
    known = tmp_path / "desktop/.ssh/known_hosts"
    host, kind, _ = known.read_text().split()
    _, other, *_ = (tmp_path / "robot/desktop.pub").read_text().split()
    known.write_text(f"{host} {kind} {other}\n")
    refused = kit.run("record", "--on-robot", robots_computer.host, "--out", "data", before=desktop)
    refused.says(4, "has changed since the last time", f"ssh-keygen -R '[127.0.0.1]:{robots_computer.port}'")


class ConfirmingPerson(NoPerson):
    """Confirms each key."""

    asked = 0

    def accept_key(self, host, fingerprint):
        self.asked += 1
        return fingerprint.startswith("SHA256:")


def test_a_person_confirms_the_key_once(robots_computer, desktop, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "desktop"))
    (tmp_path / "desktop/.ssh/known_hosts").unlink()
    person, address = ConfirmingPerson(), parse_ssh_address(robots_computer.host)
    for _ in range(2):
        with open_shell(address, person) as shell:
            assert shell.run("echo", "it's here").out == "it's here\n"
    assert person.asked == 1


def test_an_alias_of_the_configuration_is_confirmed_once_and_keeps_the_other_keys(
    robots_computer, desktop, monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path / "desktop"))
    ssh = tmp_path / "desktop/.ssh"
    other = f"mini.example {' '.join((robots_computer.folder / 'desktop.pub').read_text().split()[:2])}"
    place = f"HostName 127.0.0.1\nPort {robots_computer.port}\n"
    for names, more in (("mini", ""), ("reachy", "HostKeyAlias mini-of-the-lab\n")):
        (ssh / "known_hosts").write_text(other)  # without the end of its line
        (ssh / "config").write_text(f"Host {names}\n{place}{more}")
        person = ConfirmingPerson()
        for _ in range(2):
            with open_shell(parse_ssh_address(names), person) as shell:
                assert shell.run("echo", "here").out == "here\n"
        assert person.asked == 1
        kept, added = (ssh / "known_hosts").read_text().splitlines()
        assert kept == other
        assert added.startswith("mini-of-the-lab ssh-" if more else f"[127.0.0.1]:{robots_computer.port} ssh-")


def test_a_password_is_asked_for_in_the_main_thread_and_once_for_a_command(desktop, monkeypatch, tmp_path):
    threads = []

    class Person(NoPerson):
        def password(self, login):
            threads.append(threading.current_thread())
            return "root" if len(threads) == 2 else "wrong"

    class Server(asyncssh.SSHServer):
        def validate_password(self, username, password):
            return password == "root"

        def password_auth_supported(self):
            return True

    monkeypatch.setenv("HOME", str(tmp_path / "desktop"))
    person, password, loop = Person(), LoginPassword(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen():
        key = asyncssh.generate_private_key("ssh-ed25519")
        server = await asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key])
        return server, key.export_public_key().decode()

    server, key = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    port = server.get_port()
    (tmp_path / "desktop/.ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {key}")
    for _ in range(2):
        with open_shell(parse_ssh_address(f"pollen@127.0.0.1:{port}"), person, password):
            pass
    server.close()
    loop.call_soon_threadsafe(loop.stop)
    assert threads == [threading.main_thread()] * 2  # a wrong one, the right one, and none after that
    assert "root" not in repr(password)


def test_a_login_that_is_refused_says_how_to_install_a_key(robots_computer, desktop, kit, tmp_path):
    (tmp_path / "desktop/.ssh/id_ed25519").unlink()
    refused = kit.run("record", "--on-robot", robots_computer.host, "--out", "data", before=desktop)
    refused.says(3, "refuses the login", "ssh-copy-id")


@pytest.mark.parametrize("host", ["@robot", "robot:ssh", "robot:0", "", "-oProxyCommand=x"])
def test_an_address_that_is_not_one_is_wrong_use(host):
    with pytest.raises(WrongUseError, match="--on-robot"):
        parse_ssh_address(host)


@pytest.mark.parametrize(
    "options, words",
    [
        (("--perception", "geometry"), "--perception does not work with --on-robot"),
        (("--microphone", "0"), "--microphone does not work with --on-robot"),
        (("--robot", "reachy-mini.example"), "--robot reachy-mini.example does not work with --on-robot"),
    ],
)
def test_an_option_that_does_not_work_there_is_wrong_use(kit, options, words):
    kit.run("record", "--on-robot", "127.0.0.1:1", *options, "--out", "data").says(2, words)


def test_a_library_of_moves_is_sent_with_its_folders(shell, robots_computer, nod, tmp_path):
    library = tmp_path / "library"
    (library / "data").mkdir(parents=True)
    nod.rename(library / "data/nod.json")
    place = f"{robots_computer.home}/moves"
    assert send_teleop(shell, f"move:{library}", place) == f"move:{place}"
    assert [move.name for move in read_moves(Path(place))] == ["nod"]


def test_a_file_that_cannot_be_written_here_is_named_in_a_line(shell, robots_computer, tmp_path):
    (robots_computer.home / "take").write_bytes(b"1")
    (tmp_path / "take.partial").symlink_to("/dev/full")
    with pytest.raises(KitError, match=r"cannot be read or written \(No space left"):
        shell.fetch_file(f"{robots_computer.home}/take", tmp_path / "take")


# --- installing --------------------------------------------------------------------------------------------------


def python_that_says(folder, **changes):
    """A Python on the robot, as far as the probe goes."""
    said = {
        "python": "/usr/bin/python3", "version": [3, 12], "machine": "aarch64", "glibc": "2.41", "home": "/home/pollen",
        "installed": {"reachy-mini": "1.13.0"},
    }  # fmt: skip
    for name in ("python3", "python3.12", "python3.13"):
        script = folder / name
        script.write_text(f"#!/bin/sh\necho {shlex.quote(json.dumps(said | changes))}\n")
        script.chmod(0o755)


@pytest.mark.parametrize(
    "changes, error, words",
    [
        ({"version": [3, 11]}, KitError, r"no Python 3\.12 or newer \(it has 3\.11\)"),
        ({"installed": {}}, KitError, r"SDK in none of its .* there: \S*python3\S* -m pip install reachy-mini$"),
        ({"installed": {"reachy-mini": "1.13.0", "reachy-kit": "0.0.9"}}, RefusedError, r"has reachy-kit 0\.0\.9 in"),
    ],
    ids=["old", "no-sdk", "whole-kit"],
)
def test_a_robot_that_cannot_run_the_recorder_is_named(shell, robots_computer, changes, error, words):
    python_that_says(robots_computer.first_on_path, **changes)
    with pytest.raises(error, match=words):
        find_python(shell)


def wheel(folder, name, content):
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", content)
        archive.writestr(f"{name}/runtime/__init__.py", "")
    return {sha256(path): path}


def test_a_version_is_installed_once_replaces_the_one_before_and_is_repaired(shell, robots_computer, tmp_path):
    robot = find_python(shell)
    old = wheel(tmp_path, "greeting", "said = 'hello'") | wheel(tmp_path, "reachy_kit", "")
    first = install_runtime(shell, robot, old)
    again = install_runtime(shell, robot, old)
    assert (first.sent, again.sent) == (2, 0)
    new = wheel(tmp_path, "greeting", "said = 'good day'") | wheel(tmp_path, "reachy_kit", "")
    assert install_runtime(shell, robot, new).sent == 1
    said = shell.run(f"{robots_computer.base}/current/python", "-c", "import greeting; print(greeting.said)")
    assert said.out == "good day\n"
    assert shell.run(first.python, "-c", "import greeting; print(greeting.said)").out == "hello\n"  # to go back to


def test_what_a_cut_connection_left_of_a_wheel_is_continued(shell, robots_computer, tmp_path):
    content = np.random.default_rng(0).bytes(3 << 20)
    whole, there = tmp_path / "big", f"{robots_computer.base}/incoming/big"
    whole.write_bytes(content)
    partial = Path(f"{there}.partial")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(content[: 1 << 20])
    shell.send_file(whole, there)
    assert Path(there).read_bytes() == content
    here = tmp_path / "back"
    here.with_name("back.partial").write_bytes(content[: 2 << 20])
    shell.fetch_file(there, here)
    assert here.read_bytes() == content


def test_a_robot_without_room_is_left_as_it_is(shell, robots_computer, tmp_path, monkeypatch):
    monkeypatch.setattr(runtime_installation, "RESERVE", 1 << 60)
    with pytest.raises(KitError, match=r"MB free; \d+ MB are needed\. Make room there"):
        install_runtime(shell, find_python(shell), wheel(tmp_path, "greeting", ""))
    assert not robots_computer.base.exists()


def test_a_damaged_wheel_is_noticed_and_sent_again(shell, robots_computer, tmp_path):
    robot, wheels = find_python(shell), wheel(tmp_path, "reachy_kit", "")
    (digest,) = wheels
    arrived = robots_computer.base / f"incoming/{digest}.whl"
    arrived.parent.mkdir(parents=True)
    arrived.write_bytes(b"PK")
    with pytest.raises(KitError, match=r"arrived damaged\. Give the same command again"):
        install_runtime(shell, robot, wheels)
    assert install_runtime(shell, robot, wheels).sent == 1


@pytest.mark.long
def test_what_the_robot_lacks_is_fetched_for_its_platform(tmp_path):
    robot = RobotPython("python3", (3, 12), "aarch64", (2, 41), "/home/pollen", {"numpy": "2.3.0"})
    fetched = [path.name for path in wheels_for(robot, tmp_path).values()]
    assert fetched[0].startswith("reachy_kit_runtime-")
    names = {name.split("-")[0] for name in fetched}
    assert {"av", "pyarrow", "opencv_python_headless", "onnxruntime"} < names
    assert "numpy" not in names
    assert all("aarch64" in name or name.endswith("none-any.whl") for name in fetched)
    fetched_before = set(tmp_path.iterdir())
    wheels_for(robot, tmp_path)
    assert set(tmp_path.iterdir()) == fetched_before  # nothing is fetched twice
