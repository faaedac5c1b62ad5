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
    subprocess.run([sys.executable, "-c", program, *map(str, arguments)], check=True, timeout=240, cwd=tmp_path)
    return set(json.loads(listed.read_text()))


def every_module_of(package: str) -> str:
    """A line of code that imports a package with all that is in it."""
    walk = f"__import__('pkgutil').walk_packages(__import__({package!r}, fromlist=['*']).__path__, {package + '.'!r})"
    return f"[__import__(module.name, fromlist=['*']) for module in {walk}]"


def test_running_a_bundle_on_a_robot_loads_onnxruntime_and_nothing_heavy(daemon, bundle_path, tmp_path):
    arguments = ("run", bundle_path, "--robot", daemon.address, "--no-camera", "--seconds", 1)
    loaded = modules_after("from reachy_kit.cli.main import run_cli; run_cli()", tmp_path, *arguments)
    assert "onnxruntime" in loaded
    assert "reachy_mini" in loaded
    assert not HEAVY & loaded
    assert daemon.lies_down


def test_the_command_line_itself_loads_next_to_nothing(tmp_path):
    loaded = modules_after("import reachy_kit.cli.commands", tmp_path)
    assert "reachy_kit" in loaded
    assert not (HEAVY | {"numpy", "onnxruntime", "cv2", "reachy_mini", "reachy_sim", "reachy_policies"}) & loaded


@pytest.mark.parametrize(
    ("package", "absent"),
    [
        ("reachy_kit.runtime", {"typer", "rich", "reachy_mini", "reachy_sim", "reachy_policies", "av", "pyarrow"}),
        ("reachy_kit.dataset", {"typer", "rich", "reachy_mini", "reachy_sim", "reachy_policies", "datasets", "av"}),
        ("reachy_kit.workflows", {"typer", "rich", "reachy_mini", "reachy_sim"}),
    ],
)
def test_no_module_loads_what_its_layer_does_without(package, absent, tmp_path):
    loaded = modules_after(every_module_of(package), tmp_path)
    assert "numpy" in loaded
    assert not (HEAVY | absent) & loaded
