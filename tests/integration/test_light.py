"""The robot's own computer has no torch, LeRobot, MuJoCo or gymnasium: what runs there must not load them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "lerobot", "mujoco", "gymnasium"}


def modules_after(code: str, tmp_path: Path, *arguments: object) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running some code as a program of its own."""
    listed = tmp_path / "modules.json"
    end = f"json.dump(sorted({{name.partition('.')[0] for name in sys.modules}}), open({str(listed)!r}, 'w'))"
    program = f"import json, sys\ntry:\n    {code}\nfinally:\n    {end}\n"
    subprocess.run([sys.executable, "-c", program, *map(str, arguments)], check=True, timeout=60, cwd=tmp_path)
    return set(json.loads(listed.read_text()))


def test_running_a_bundle_on_a_robot_loads_onnxruntime_and_nothing_heavy(daemon, bundle_path, tmp_path):
    arguments = ("run", bundle_path, "--robot", daemon.address, "--no-camera", "--seconds", 1)
    loaded = modules_after("from reachy_kit.cli.main import run_cli; run_cli()", tmp_path, *arguments)
    assert "onnxruntime" in loaded
    assert "reachy_mini" in loaded
    assert not HEAVY & loaded
    assert daemon.lies_down


def test_the_command_line_itself_loads_next_to_nothing(tmp_path):
    loaded = modules_after("import reachy_kit.cli.main", tmp_path)
    assert "reachy_kit" in loaded
    assert not (HEAVY | {"numpy", "onnxruntime", "cv2", "reachy_mini", "reachy_sim", "reachy_policies"}) & loaded


@pytest.mark.parametrize("module", ["interface", "kinematics", "safety", "rollout", "bundle", "runner", "recording"])
def test_the_robot_side_imports_no_learning_or_simulation_library(module, tmp_path):
    loaded = modules_after(f"import reachy_kit.{module}", tmp_path)
    assert not (HEAVY | {"reachy_sim", "reachy_policies"}) & loaded
