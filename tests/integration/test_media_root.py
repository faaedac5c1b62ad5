"""`make test-media`: it deletes only what it has made, and its tests run nowhere else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = {
    "id": "echo 0",
    "unshare": "exit 1",
    "chroot": "exit 1",
    "df": "echo 9999999999",
    "mmdebstrap": 'for word; do case "$word" in */root) mkdir "$word" && touch "$word/new" ;; esac; done',
    "apt-get": "exit 1",
}
"""Stand-ins: nothing is mounted or downloaded, and the root is an empty folder."""


@pytest.fixture
def media_root(tmp_path):
    """Runs .ci/media-root in a checkout of its own, with the root at a path."""
    (tmp_path / "bin").mkdir()
    for name, script in TOOLS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    for name in (".ci/media-root", "pyproject.toml", "constraints.txt"):
        (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "checkout" / name)

    def run(option, root):
        environment = {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "HOME": str(tmp_path / "home"),
            "MEDIA_ROOT": str(root),
            "DEBIAN_MIRROR": "none",
        }
        command = [tmp_path / "checkout/.ci/media-root", option]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    return run


@pytest.mark.parametrize("option", ["--make", "--remove"])
@pytest.mark.parametrize("name", ["disk", "disk/", "root.new", "a_file"])
def test_what_it_has_not_made_is_refused_and_left_alone(option, name, media_root, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    if name == "a_file":
        mine = tmp_path / name
    else:
        (tmp_path / name).mkdir()
        mine = tmp_path / name / "diary.txt"
    mine.write_text("years of work")
    before = sorted(tmp_path.rglob("*"))
    ended = media_root(option, tmp_path / "root" if name == "root.new" else f"{tmp_path}/{name}")
    assert (ended.returncode, mine.read_text()) == (2, "years of work"), ended
    assert "is not a root that this script has made. Choose a new folder: MEDIA_ROOT=" in ended.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("prepare", ["absent", "empty", "older", "cut short"])
def test_a_new_or_an_own_root_is_made_and_removed(prepare, media_root, tmp_path):
    root = tmp_path / "root"
    own = tmp_path / "root.new" if prepare == "cut short" else root
    if prepare != "absent":
        own.mkdir()
    if prepare in ("older", "cut short"):
        (own / ".system").write_text("older")
        (own / "old").touch()
    media_root("--make", root)  # it stops where it needs a real one
    assert (root / "new").exists()
    assert (root / ".system").read_text().strip() not in ("", "older")
    assert not (root / "old").exists()
    assert not (tmp_path / "root.new").exists()
    assert media_root("--remove", root).returncode == 0
    assert not root.exists()


@pytest.mark.parametrize("inside", [False, pytest.param(True, marks=pytest.mark.long)])
def test_its_tests_run_nowhere_else(inside):
    outer = ("TEST_RUN_FOLDER", "OUTSIDE_LOOPBACK", "PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS", "IN_MEDIA_ROOT")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    if inside:
        environment["IN_MEDIA_ROOT"] = "1"
    arguments = ["-m", "pytest", "-p", "no:cacheprovider", "-q", "--collect-only", "tests/media"]
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ("tests/media/test_camera.py::" in ended.stdout) == inside, ended
    assert ended.returncode == (pytest.ExitCode.OK if inside else pytest.ExitCode.NO_TESTS_COLLECTED), ended
