"""What several suites start from: a recorded dataset, a run trained on it, and its bundle, each made once a session.

They are made by the functions behind the commands. Nobody changes them: a test that damages one copies it first.
"""

import os
import signal
from pathlib import Path

# Before anything imports LeRobot or MuJoCo: no test asks the Hub for anything, and pictures are drawn without a screen.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MUJOCO_GL", "egl")

import pytest
from hypothesis import settings

# A shell that starts this in the background has it ignore Ctrl-C, and so would every command that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("kit", deadline=None)  # a shared computer stalls now and then
settings.load_profile("kit")

RECORDED_EPISODES = 8


@pytest.fixture(scope="session")
def recorded_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight look_at episodes of the scripted expert in the simulator, at 25 Hz."""
    from reachy_kit.cli.record import record_episodes
    from reachy_kit.cli.robots import open_session
    from reachy_sim.tasks import variant_by_name

    root, look_at = tmp_path_factory.mktemp("recorded") / "look_at", variant_by_name("look_at")
    with open_session("sim", look_at, camera=False) as stage:
        record_episodes(stage, look_at, root, episodes=RECORDED_EPISODES, hz=25, seed=0, camera=False)
    return root


@pytest.fixture(scope="session")
def seen_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two look_at episodes with the camera's pictures, at 10 Hz."""
    from reachy_kit.cli.record import record_episodes
    from reachy_kit.cli.robots import open_session
    from reachy_sim.tasks import variant_by_name

    root, look_at = tmp_path_factory.mktemp("seen") / "look_at", variant_by_name("look_at")
    with open_session("sim", look_at, camera=True) as stage:
        record_episodes(stage, look_at, root, episodes=2, hz=10, seed=0, camera=True)
    return root


@pytest.fixture(scope="session")
def trained_run(recorded_dataset: Path, tmp_path_factory: pytest.TempPathFactory):
    """A run (reachy_policies.runs.run.Run) of the chunk policy: trained briefly, so it works but not well."""
    from reachy_kit.cli.train import train_imitation

    out = tmp_path_factory.mktemp("trained") / "look_at"
    return train_imitation(recorded_dataset, out, seed=0, settings={"max_steps": 800})


@pytest.fixture(scope="session")
def bundle_path(trained_run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's bundle, a zip."""
    from reachy_policies.export import export

    path = tmp_path_factory.mktemp("exported") / "look_at.bundle"
    export(trained_run, path)
    return path
