"""The kit as people install it: its wheel with each extra, in an environment that was empty before.

These tests install packages from the registry. The wheel is built from the source distribution.
"""

import os
import shlex
import socket
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from reachy_kit.runtime.robots.daemon import DaemonAddress, daemon_status

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

FACE = """
from reachy_kit.runtime.perception.targets.target_registry import target_by_name
kind = target_by_name("face").kind
assert kind.open_detector("").detect(kind.picture("").image) is not None
"""
APP = """
import json, threading, urllib.request
import fastapi, uvicorn, websockets.sync.client

app = fastapi.FastAPI()

@app.get("/state")
def state():
    return {"state": "up"}

@app.websocket("/echo")
async def echo(socket: fastapi.WebSocket):
    await socket.accept()
    await socket.send_text(await socket.receive_text())

server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    thread.join(0.01)
port = server.servers[0].sockets[0].getsockname()[1]
assert json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/state")) == {"state": "up"}
with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/echo") as socket:
    socket.send("ping")
    assert socket.recv() == "ping"
server.should_exit = True
thread.join()
"""
TELEOP = """
import os
os.environ["SDL_VIDEODRIVER"] = "dummy"
import prompt_toolkit.input, pygame, sounddevice

pygame.joystick.init()
assert pygame.joystick.get_count() >= 0
sounddevice.query_hostapis()
with prompt_toolkit.input.create_pipe_input() as keyboard:
    keyboard.send_text("w")
    assert [press.data for press in keyboard.read_keys()] == ["w"]
"""
DEPLOY = """
import asyncio, asyncssh, zeroconf

async def greet(process):
    process.stdout.write("hello")
    process.exit(0)

async def main():
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[key], authorized_client_keys=asyncssh.import_authorized_keys(
            key.export_public_key().decode()), process_factory=greet,
    ) as server:
        port = server.get_port()
        known = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {key.export_public_key().decode()}")
        async with asyncssh.connect("127.0.0.1", port, client_keys=[key], known_hosts=known, config=None) as robot:
            assert (await robot.run("anything", check=True)).stdout == "hello"

asyncio.run(main())
zeroconf.Zeroconf(interfaces=["127.0.0.1"]).close()
"""
CLUSTER = """
import ray

ray.init(address="local", num_cpus=1, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
assert ray.get(ray.remote(lambda seed: seed + 1).remote(1)) == 2
ray.shutdown()
"""


class Installed:
    """An environment of uv's, and a shell in which its commands and uv are found."""

    def __init__(self, folder: Path, uv: Path) -> None:
        self.folder, self.uv = folder, uv
        self.bin = folder / "environment/bin"
        inherited = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "UV", "VIRTUAL_ENV")
        }
        self.variables = inherited | {
            "PATH": f"{self.bin}:{uv.parent}:{os.environ['PATH']}",
            "UV_CONSTRAINT": str(ROOT / "constraints.txt"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "REACHY_MINI_TELEMETRY": "0",
        }
        self("uv", "venv", "--python", sys.executable, folder / "environment")

    def install(self, *requirements: object) -> None:
        self("uv", "pip", "install", "--python", self.bin / "python", *requirements)

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.variables, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=800, check=False,
        )  # fmt: skip

    def __call__(self, *words: object) -> str:
        done = self.shell(shlex.join(map(str, words)))
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def paste_what_it_asks_for(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a command that ends with the command that installs what it lacks, and paste that one."""
        refused = self.shell(shlex.join(map(str, words)))
        assert refused.returncode == 2, refused
        (line,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
        pasted = line[min(line.index(start) for start in (": uv ", ": uvx ") if start in line) + 2 :]
        done = self.shell(pasted)
        assert done.returncode == 0, f"{pasted}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="session")
def distributions(make_once, uv) -> Path:
    """Folder with the source distribution and the wheel that is built from it."""

    def build(folder: Path) -> None:
        command = [uv, "build", "--python", sys.executable, "--out-dir", folder, ROOT]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    return make_once("distributions", build)


@pytest.fixture(scope="session")
def wheel(distributions) -> Path:
    (wheel,) = distributions.glob("*.whl")
    return wheel


@pytest.fixture
def install(tmp_path, uv, wheel):
    """Installs the wheel with extras into an empty environment."""

    def make(*extras: str) -> Installed:
        installed = Installed(tmp_path, uv)
        installed.install(f"{wheel}[{','.join(extras)}]" if extras else wheel)
        return installed

    return make


@pytest.fixture
def mockup_daemon(until):
    """Starts the daemon of an environment that has no MuJoCo: a mock-up of the motors."""
    started = []

    def start(kit: Installed) -> DaemonAddress:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = DaemonAddress("127.0.0.1", probe.getsockname()[1])
        command = (
            f"exec reachy-mini-daemon --mockup-sim --no-media --fastapi-host 127.0.0.1 --fastapi-port {address.port} "
            "--no-wake-up-on-start --no-goto-sleep-on-stop --dataset-update-interval 0 > daemon.log 2>&1"
        )
        process = subprocess.Popen(["bash", "-c", command], cwd=kit.folder, env=kit.variables, stdin=subprocess.DEVNULL)
        started.append(process)
        until(lambda: process.poll() is not None or (daemon_status(address) or {}).get("state") == "running")
        assert process.poll() is None, (kit.folder / "daemon.log").read_text()
        return address

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=30)


def test_robot(install, mockup_daemon, bundle_path):
    kit = install("robot")
    kit("reachy-kit", "run", bundle_path, "--robot", mockup_daemon(kit), "--no-camera", "--seconds", 1)
    refused = kit.shell(f"reachy-kit run {shlex.quote(str(bundle_path))} --robot daemon")
    assert refused.returncode == 2
    assert "needs the extra sim" in refused.stderr


def test_sim(install):
    kit = install("sim")
    kit.paste_what_it_asks_for("reachy-kit", "eval", "expert", "--episodes", 2)  # for the robot's model files
    assert "2/2" in kit("reachy-kit", "eval", "expert", "--episodes", 2)


def test_train(install, recorded_dataset):
    kit = install("train")
    kit(
        "reachy-kit",
        "train",
        "imitation",
        "--dataset",
        recorded_dataset,
        "--out",
        "run",
        "--set",
        "max_steps=4",
        "--track",
    )
    kit("reachy-kit", "export", "run", "--out", "look_at.bundle")
    assert (kit.folder / "look_at.bundle").exists()


def test_view(install):
    kit = install("view")
    kit.paste_what_it_asks_for("reachy-kit", "view", "--out", "film.mp4", "--seconds", 1)
    kit("reachy-kit", "view", "--out", "film.mp4", "--seconds", 1)
    assert (kit.folder / "film.mp4").stat().st_size > 1000


@pytest.mark.parametrize(
    ("extra", "program"), [("teleop", TELEOP), ("face", FACE), ("app", APP), ("deploy", DEPLOY), ("cluster", CLUSTER)]
)
def test_an_extra_that_is_not_used_yet_brings_what_its_comment_says(extra, program, install):
    kit = install(extra)
    assert "demo" in kit("reachy-kit", "--help")
    kit(kit.bin / "python", "-c", program)


def test_uvx_says_what_the_demo_needs_and_runs_it_with_that(tmp_path, uv, wheel):
    kit = Installed(tmp_path, uv)
    small = ["--episodes", "2", "--iterations", "1", "--sim-episodes", "1", "--daemon-episodes", "1", "--out", "demo"]
    uvx = ("uvx", "--python", sys.executable, "--from", wheel, "reachy-kit", "demo", *small)
    done = kit.paste_what_it_asks_for(*uvx)
    assert "report: demo/report.html" in done.stdout
    assert "rl, daemon" in done.stdout


def test_the_source_distribution_holds_every_file_of_the_repository(distributions):
    (archive,) = distributions.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        held = {name.partition("/")[2] for name in files.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    assert set(filter(None, listed)) <= held


def test_every_extra_is_installed_by_one_of_these_tests():
    here = Path(__file__).read_text()
    assert all(f'install("{extra}")' in here or f'("{extra}", ' in here for extra in EXTRAS)
