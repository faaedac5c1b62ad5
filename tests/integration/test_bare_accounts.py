"""Commands under a user number without an account, and without a home that can be written: ``docker -u``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REACHY_KIT = Path(sys.executable).with_name("reachy-kit")
BARE = ("unshare", "--user", "--map-user=12345", "--map-group=12345")
"""Runs a command under a number that is not in /etc/passwd; it needs no rights, and files stay accessible."""
NAMES = ("HOME", "USER", "LOGNAME", "USERNAME", "LNAME", "HF_HOME", "HF_DATASETS_CACHE", "XDG_CACHE_HOME")
NO_FOLDER = "/proc"
"""A home in which nobody can make a file."""


def run_bare(folder: Path, *command: object, home: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    environment |= {"HOME": home} if home else {}
    line = [*BARE, *map(str, command)]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_the_number_has_no_account(tmp_path):
    result = run_bare(tmp_path, sys.executable, "-c", "import getpass; getpass.getuser()", home=None)
    assert "getpwuid(): uid not found: 12345" in result.stderr


IN_A_FORK = f"""
import os
number = os.getuid()
os.unshare(os.CLONE_NEWUSER)
with open("/proc/self/uid_map", "w") as numbers:
    numbers.write(f"12345 {{number}} 1")
for name in {NAMES}:
    os.environ.pop(name, None)
"""
"""Python that takes the account and the home of a process."""


def test_a_process_that_has_loaded_everything_records_without_an_account(kit):
    result = kit.run("record", "--episodes", 1, "--hz", 10, "--out", "data", before=IN_A_FORK)
    assert result.code == 0, result
    assert sorted(path.name for path in kit.folder.iterdir() if not path.name.startswith(".streams")) == ["data"]


@pytest.mark.long
@pytest.mark.parametrize("home", [None, NO_FOLDER])
def test_recording_without_an_account(home, tmp_path):
    result = run_bare(tmp_path, REACHY_KIT, "record", "--episodes", 1, "--hz", 10, "--out", "data", home=home)
    assert result.returncode == 0, result
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.long  # test_damaged_datasets.py trains so in each run
@pytest.mark.parametrize("home", [None, NO_FOLDER])
def test_training_without_an_account(home, recorded_dataset, tmp_path):
    arguments = ("--dataset", recorded_dataset, "--out", "run", "--set", "max_steps=10", "--set", "eval_every=10")
    result = run_bare(tmp_path, REACHY_KIT, "train", "imitation", *arguments, home=home)
    assert result.returncode == 0, result
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.long
@pytest.mark.parametrize("home", [None, NO_FOLDER])
@pytest.mark.parametrize("verb", ["eval", "export", "demo", "reinforce", "act"])
def test_other_commands_without_an_account(verb, home, trained_run, image_dataset, tmp_path):
    act = ("--policy", "act", "--set", "max_steps=2", "--set", "eval_every=2", "--set", "batch_size=2")
    arguments = {
        "eval": ("eval", trained_run.path, "--task", "look_at", "--robot", "sim", "--episodes", 1),
        "export": ("export", trained_run.path, "--out", "a.bundle"),
        "demo": ("demo", "--help"),
        "reinforce": ("train", "rl", "--help"),
        "act": ("train", "imitation", "--dataset", image_dataset, "--out", "run", *act),
    }
    result = run_bare(tmp_path, REACHY_KIT, *arguments[verb], home=home)
    assert result.returncode == 0, result
