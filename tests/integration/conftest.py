"""What tests of whole commands share: bundles, one simulated daemon for all, and environments of their own."""

import contextlib
import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
import venv
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from packaging.requirements import Requirement

from reachy_kit.runtime.inference.bundle import sha256, write_bundle
from reachy_kit.runtime.inference.manifest import Graph, Manifest
from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.perception.features import units_of
from reachy_kit.runtime.perception.target import TARGET_FEATURES
from reachy_kit.runtime.robots import daemon as daemon_module
from reachy_kit.runtime.robots.daemon import DaemonAddress, simulated_daemon

from ..commands.command import Kit, Result, child_daemon, until

ROOT = Path(__file__).parents[2]


# --- bundles -----------------------------------------------------------------------------------------------------

CHUNK, N_OBS_STEPS, NINE, FEATURES = 8, 2, len(ACTION_NAMES), len(TARGET_FEATURES)


def stubborn_model(action: np.ndarray) -> bytes:
    """An ONNX graph that answers every observation with the same (9,) action."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    inputs = {
        "state": [1, N_OBS_STEPS, NINE],
        "environment_state": [1, N_OBS_STEPS, FEATURES],
        "last_action": [1, NINE],
        "noise": [1, CHUNK, NINE],
    }
    value = numpy_helper.from_array(np.tile(action, (1, CHUNK, 1)).astype(np.float32))
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["action"], value=value)],
        "stubborn",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, CHUNK, NINE])],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture
def make_bundle(kit: Kit) -> Callable[..., Path]:
    """Writes a bundle whose policy always asks for the same action; its graph or its manifest may be exchanged."""

    def make(always: np.ndarray, model: bytes | None = None, n_obs_steps: int = N_OBS_STEPS, **manifest: Any) -> Path:
        model = stubborn_model(always) if model is None else model
        graph = Graph(
            "policy.onnx", "chunk", {}, {}, hz=25, n_obs_steps=n_obs_steps, chunk_size=CHUNK, n_action_steps=2
        )
        usual = {
            "task": "look_at",
            "graphs": [graph],
            "environment_state": TARGET_FEATURES,
            "environment_state_units": units_of(TARGET_FEATURES),
            "parity_error": 0.0,
            "parity_observations": 0,
            "sha256": {graph.file: sha256(model)},
        }
        path = kit.folder / "stubborn.bundle"
        write_bundle(path, Manifest(**usual | manifest), {graph.file: model})
        return path

    return make


# --- the daemon --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Daemon:
    """A simulated daemon from outside: its REST interface and its process."""

    address: DaemonAddress
    process: psutil.Process

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.address}/api/{path}", timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"http://{self.address}/api/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    @property
    def state(self) -> np.ndarray:
        """(9,) measured, in the kit's order."""
        full = self.get("state/full")
        head = [full["head_pose"][name] for name in ("x", "y", "z", "roll", "pitch", "yaw")]
        return np.array([*head, full["body_yaw"], *full["antennas_position"]])

    @property
    def lies_down(self) -> bool:
        """Head low and forward, antennas back: the SDK's sleep pose, give or take what gravity does."""
        state = self.state
        return bool(
            state[2] < -0.035 and abs(state[4] - 0.43) < 0.12 and np.allclose(state[7:], [-3.05, 3.05], atol=0.1)
        )

    def lie_down(self) -> None:
        """Bring the robot to rest, if it is not. The daemon's move switches the motors off at its very end."""
        if not self.lies_down:
            self.post("move/play/goto_sleep", {})
        until(lambda: self.lies_down and not self.get("move/running"), 20)

    @property
    def as_default(self) -> str:
        """Python that makes `--robot daemon` of a command take this one."""
        return f"import reachy_kit.runtime.robots.daemon as module; module.DEFAULT_PORT = {self.address.port}\n"

    @property
    def is_up(self) -> bool:
        """The head has left the sleep pose for good."""
        return bool(self.state[2] > -0.01)


@pytest.fixture(scope="session")
def no_other_daemon() -> Iterator[None]:
    """Whatever listens on this machine's default port is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daemon_module, "DEFAULT_PORT", 9)
        yield


@pytest.fixture(scope="session")
def shared_daemon(no_other_daemon: None) -> Iterator[Daemon]:
    with simulated_daemon() as address:
        process = child_daemon(os.getpid(), address.port)
        assert process
        yield Daemon(address, process)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the shared daemon after the last test of its group: its simulation runs whether or not somebody looks."""
    in_a_group = "PYTEST_XDIST_WORKER" in os.environ
    if in_a_group and uses_daemon(item) and not (nextitem and uses_daemon(nextitem)):
        for definition in item._fixtureinfo.name2fixturedefs["shared_daemon"]:
            definition.finish(item._request)


def uses_daemon(item: pytest.Item) -> bool:
    return "shared_daemon" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def as_daemon() -> type[Daemon]:
    """Makes the same of a daemon that a test starts by itself: its address, and its process."""
    return Daemon


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Iterator[Daemon]:
    """A simulated daemon that all tests share; each finds the robot lying down, and leaves it so."""
    shared_daemon.lie_down()
    yield shared_daemon


class Hand:
    """The hand of limp_daemon.py, and its motors' faults."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def turn_to(self, yaw: float) -> None:
        self._write(self.file, str(yaw))

    def let_go(self) -> None:
        self.file.unlink(missing_ok=True)

    def make_limp(self, *motors: str) -> None:
        """Make motors limp, by name, and all others not."""
        self._write(self.file.with_suffix(".limp"), " ".join(motors))

    def start_over(self) -> None:
        """Take the daemon back to where it started: the pose, the motors, and what it was commanded."""
        self.let_go()
        self.make_limp()
        for fault in (".mute", ".stubborn"):  # of a test that failed
            self.file.with_suffix(fault).unlink(missing_ok=True)
        again = self.file.with_suffix(".again")
        again.touch()
        until(lambda: not again.exists())

    def _write(self, file: Path, text: str) -> None:
        partial = self.file.with_suffix(".partial")
        partial.write_text(text)
        partial.replace(file)


@pytest.fixture(scope="session")
def shared_limp_daemon(
    no_other_daemon: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Daemon, Hand]]:
    folder = tmp_path_factory.mktemp("limp")
    script = folder / "reachy-mini-daemon"
    script.write_text(f"#!{sys.executable}\n" + Path(__file__).with_name("limp_daemon.py").read_text())
    script.chmod(0o755)
    hand = Hand(folder / "hand")
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(daemon_module, "_command", lambda: script)
            patch.setenv("HAND", str(hand.file))
            address = stack.enter_context(simulated_daemon())
        process = child_daemon(os.getpid(), address.port)
        assert process
        yield Daemon(address, process), hand


@pytest.fixture
def limp_daemon(shared_limp_daemon: tuple[Daemon, Hand]) -> tuple[Daemon, Hand]:
    """A daemon whose motors go limp, and the hand on its head; each test finds it as when it was started."""
    daemon, hand = shared_limp_daemon
    until(lambda: not daemon.get("move/running"))
    hand.start_over()
    until(lambda: daemon.lies_down)
    return daemon, hand


# --- environments of their own -----------------------------------------------------------------------------------


def requirements_of(installed: Distribution, extras: Iterable[str] = ()) -> list[Requirement]:
    parsed = [Requirement(line) for line in installed.requires or []]
    return [
        needed
        for needed in parsed
        if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


@dataclass(frozen=True)
class Environment:
    """An environment with a wheel of this checkout; its packages are links to those of the tests' environment."""

    folder: Path
    linked: set[str] = field(default_factory=set)

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    @property
    def site(self) -> Path:
        (site,) = self.folder.glob("lib/python*/site-packages")
        return site

    def keep_on_this_computer(self) -> None:
        """Let its Python refuse to reach another one, whatever its environment variables are."""
        (self.site / "sitecustomize.py").symlink_to(ROOT / "tests/loopback/sitecustomize.py")

    def link(self, requirement: Requirement, *, alone: bool = False) -> None:
        """Make an installed distribution visible there; with what it needs in turn, unless ``alone``."""
        installed = distribution(requirement.name)
        assert requirement.specifier.contains(installed.version, prereleases=True), (
            f"{requirement} against {installed.version}"
        )
        if installed.name in self.linked:
            return
        self.linked.add(installed.name)
        source = Path(sysconfig.get_path("purelib"))
        for name in {file.parts[0] for file in installed.files or [] if file.parts[0] != ".."}:
            if not (self.site / name).exists():
                (self.site / name).symlink_to(source / name)
        for needed in () if alone else requirements_of(installed, requirement.extras):
            self.link(needed)

    def add_script(self, name: str, program: str) -> None:
        script = self.folder / "bin" / name
        script.write_text(f"#!{self.python}\n{program}\n")
        script.chmod(0o755)

    def run(self, *arguments: object, **variables: str) -> Result:
        """Run a script of it, in its own folder."""
        script, *rest = map(str, arguments)
        inherited = {name: value for name, value in os.environ.items() if name != "UV"}
        inherited["PYTHONPATH"] = str(ROOT / "tests/loopback")  # nothing else of this environment
        ended = subprocess.run(
            [str(self.folder / "bin" / script), *rest], cwd=self.folder, env=inherited | variables, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=240, check=False,
        )  # fmt: skip
        return Result(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="session")
def uv() -> Path:
    """The uv of `make setup`; installed into .setup where there is none."""
    asked = subprocess.run([ROOT / ".ci/setup", "--print-uv"], check=True, capture_output=True, text=True, timeout=240)
    return Path(asked.stdout.strip())


@pytest.fixture(scope="session")
def environment_type() -> type[Environment]:
    """Links installed distributions into an environment that a test makes by itself."""
    return Environment


@pytest.fixture
def make_environment(make_once: Callable[..., Path], tmp_path: Path) -> Callable[..., Environment]:
    """Makes an environment with the wheel of a project of this checkout, and what it requires with some extras."""

    def build(project: Path, dist: Path) -> None:
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(dist)]
        subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=240)

    def make(project: Path, *extras: str) -> Environment:
        dist = make_once(f"wheels/{project.name}", lambda dist: build(project, dist))
        environment = Environment(tmp_path / "environment")
        venv.create(environment.folder, symlinks=True)
        (wheel,) = dist.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:  # a wheel without compiled parts is installed by unpacking it
            archive.extractall(environment.site)
        (info,) = environment.site.glob("*.dist-info")
        for requirement in requirements_of(Distribution.at(info), extras):
            environment.link(requirement)
        return environment

    return make
