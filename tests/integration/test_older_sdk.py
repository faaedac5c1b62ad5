"""The oldest SDK that the kit supports: its daemon and its client pass the same tests as the pinned one."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
SUITES = ("test_sdk_robot.py", "test_lying_down.py", "test_daemon.py")

PROGRAM = """
import reachy_mini
from reachy_kit.runtime.robots.daemon import daemon_status, simulated_daemon

with simulated_daemon() as address:
    print(reachy_mini.__file__, daemon_status(address)["version"])
"""


@pytest.fixture
def oldest(uv, tmp_path) -> dict[str, str]:
    """Environment variables that put the oldest SDK before the installed one; everything else stays as it is."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (sdk,) = [requirement for requirement in map(Requirement, extras["robot"]) if requirement.name == "reachy-mini"]
    (oldest,) = [bound.version for bound in sdk.specifier if bound.operator == ">="]
    wanted = f"reachy-mini=={oldest}.*"
    command = [uv, "pip", "install", "--python", sys.executable, "--target", tmp_path, "--no-deps", wanted]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])}


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_robot_on_the_oldest_sdk(oldest, tmp_path):
    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=oldest, capture_output=True, text=True, timeout=1100, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    file, version = run("-c", PROGRAM).split()
    assert Path(file).is_relative_to(tmp_path)
    assert version.startswith("1.12.")
    suites = [f"tests/integration/{name}" for name in SUITES]
    run("-m", "pytest", "-q", "-m", "not soak", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'tests'}", *suites)
