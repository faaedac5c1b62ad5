"""What several suites start from: a recorded dataset, a run trained on it, and its bundle, each made once per session.

They are made by the functions behind the commands. A test that damages one copies it first. No test reaches beyond this
computer: loopback/sitecustomize.py ends the attempt, and the test fails.
"""

import contextlib
import os
import runpy
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before anything imports LeRobot: no test asks the Hub for anything.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from filelock import FileLock
from hypothesis import settings

from .commands.command import Kit, Warm, until
from .commands.terminal import Terminal
from .virtual_pad import VirtualPad
from .work_units import UnitScheduling, start_with_the_longest, write_units

# Before anything connects: no test reaches beyond this computer, and neither does a Python that it starts.
LOOPBACK = Path(__file__).with_name("loopback")
IS_OUTERMOST = "TEST_RUN_FOLDER" not in os.environ
if IS_OUTERMOST:  # a worker has all of this from its parent
    os.environ["TEST_RUN_FOLDER"] = tempfile.mkdtemp(prefix="reachy-kit-tests-")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(LOOPBACK), os.environ.get("PYTHONPATH"))))
    runpy.run_path(str(LOOPBACK / "sitecustomize.py"))
RUN = Path(os.environ["TEST_RUN_FOLDER"])
"""What all processes of a run share; deleted at its end."""
UNITS = RUN / "units.json"
OUTSIDE = RUN / "outside"
"""Where attempts are noted, a file for each worker."""
OUTSIDE.mkdir(exist_ok=True)
ATTEMPTS = OUTSIDE / os.environ.get("PYTEST_XDIST_WORKER", "alone")
os.environ["OUTSIDE_LOOPBACK"] = str(ATTEMPTS)
# LeRobot copies each table that it reads to a cache. The user's own stays as it is: `dataset forget` removes from it.
os.environ["HF_DATASETS_CACHE"] = str(RUN / "datasets")

# A shell that starts this in the background has it ignore Ctrl-C, and so would every command that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("kit", deadline=None)  # a shared computer stalls now and then
settings.load_profile("kit")

RECORDED_EPISODES = 8


type Write = Callable[[Path], object]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    start_with_the_longest(items)
    write_units(items, UNITS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> UnitScheduling:
    return UnitScheduling(UNITS, config, log)


def attempts(file: Path) -> str:
    return file.read_text() if file.exists() else ""


@pytest.fixture(autouse=True)
def stays_on_this_computer() -> Iterator[None]:
    """Fails a test that looks up another computer or connects to one, itself or in a Python that it starts."""
    before = attempts(ATTEMPTS)
    yield
    if more := attempts(ATTEMPTS)[len(before) :]:
        pytest.fail(f"it reaches beyond this computer:\n{more}", pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which something tried, be it between two tests."""
    if not IS_OUTERMOST:
        return
    if tried := [attempts(file) for file in sorted(OUTSIDE.glob("*"))]:
        print(f"\nThese reached beyond this computer:\n{''.join(tried)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    shutil.rmtree(RUN, ignore_errors=True)


@pytest.fixture
def virtual_pad() -> Iterator[VirtualPad]:
    """A gamepad that is plugged in."""
    pad = VirtualPad()
    yield pad
    pad.unplug()


@pytest.fixture(name="until", scope="session")
def until_fixture() -> Callable[..., Any]:
    return until


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def warm(shared_folder: Path) -> Iterator[Warm]:
    """Starts commands; its process is the same for all workers."""
    with contextlib.closing(Warm(shared_folder / "warm")) as warm:
        yield warm


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    """Opens pseudo-terminals of a given size."""
    with contextlib.ExitStack() as stack:
        yield lambda rows=40, columns=110: stack.enter_context(contextlib.closing(Terminal(rows, columns)))


@pytest.fixture
def kit(tmp_path: Path, warm: Warm) -> Iterator[Kit]:
    """`reachy-kit`, run in the test's own folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    commands = Kit(folder, warm)
    yield commands
    commands.end()


@pytest.fixture(scope="session")
def make_once(shared_folder: Path) -> Callable[[str, Write], Path]:
    """Makes a file or a folder in the worker that first asks for it; the others take that one."""

    def make(name: str, write: Write) -> Path:
        path = shared_folder / "made_once" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        done = path.with_name(f"{path.name}.done")
        with FileLock(f"{path}.lock"):
            if not done.exists():
                write(path)
                done.touch()
        return path

    return make


def record_look_at(path: Path, *, episodes: int, hz: int, camera: bool) -> None:
    from reachy_kit.workflows.inputs.session import open_session
    from reachy_kit.workflows.record import record_episodes
    from reachy_sim.tasks import variant_by_name

    look_at = variant_by_name("look_at")
    with open_session("sim", look_at, camera=camera) as session:
        record_episodes(session, look_at, path, episodes=episodes, hz=hz, seed=0, camera=camera)


@pytest.fixture(scope="session")
def recorded_dataset(make_once) -> Path:
    """Eight look_at episodes of the scripted expert in the simulator, at 25 Hz."""
    return make_once(
        "recorded/look_at", lambda path: record_look_at(path, episodes=RECORDED_EPISODES, hz=25, camera=False)
    )


@pytest.fixture(scope="session")
def image_dataset(make_once) -> Path:
    """Two look_at episodes with the head camera's images, at 10 Hz."""
    return make_once("images/look_at", lambda path: record_look_at(path, episodes=2, hz=10, camera=True))


@pytest.fixture(scope="session")
def trained_run(recorded_dataset: Path, make_once):
    """A run (reachy_policies.runs.saved_run.Run) of the chunk policy: trained briefly, so it works but not well."""
    from reachy_kit.workflows.training.train_imitation import train_imitation
    from reachy_policies.runs.saved_run import open_run

    path = make_once(
        "trained/look_at",
        lambda path: train_imitation(recorded_dataset, path, seed=0, settings={"max_steps": 800}),
    )
    return open_run(path)


@pytest.fixture(scope="session")
def bundle_path(trained_run, make_once) -> Path:
    """The run's bundle, a zip."""
    from reachy_policies.onnx_export import export_bundle

    return make_once("exported/look_at.bundle", lambda path: export_bundle(trained_run, path))


@pytest.fixture(scope="session")
def write_foreign() -> Callable[..., Path]:
    """Writes a dataset of this robot as other tools would."""
    from .foreign_datasets import write_foreign

    return write_foreign
