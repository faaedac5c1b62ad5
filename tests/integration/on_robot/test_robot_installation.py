"""Installing the runtime on the robot: once, whole, continued, and only where there is room."""

import json
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest

from reachy_kit.deploy import runtime_installation
from reachy_kit.deploy.robot_python import RobotPython, find_python
from reachy_kit.deploy.robot_wheels import wheels_for
from reachy_kit.deploy.runtime_installation import install_runtime
from reachy_kit.runtime.errors import KitError, RefusedError
from reachy_kit.runtime.recording.episode_files import sha256


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
