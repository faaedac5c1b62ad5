"""Paths as people write them: a home folder, wherever a path may stand."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachy_kit import cli
from reachy_kit.cli.options import expand_home, read_settings


@pytest.fixture
def home(kit, monkeypatch, tmp_path):
    """The home folder of commands; Python code that their process runs first."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder, f"import os; os.environ['HOME'] = {str(folder)!r}"


def test_a_home_folder_is_expanded_wherever_a_path_stands(kit, home, recorded_dataset):
    folder, before = home
    shutil.copytree(recorded_dataset, folder / "data")
    assert kit.run("record", "--out=~/recorded", "--episodes", 1, before=before).code == 0
    assert (folder / "recorded/meta/info.json").is_file()
    train = ("train", "imitation", "--dataset=~/data", "--out=~/run", "--config=~/fit.toml")
    (folder / "fit.toml").write_text("max_steps = 50\neval_every = 50\n")
    assert kit.run(*train, before=before).code == 0
    assert (folder / "run/pretrained_model").is_dir()
    assert kit.run("export", "~/run", "--out=~/x.bundle", before=before).code == 0
    assert kit.run("run", "~/x.bundle", "--robot", "sim", "--seconds", 0.2, before=before).code == 0
    assert kit.run("eval", "~/run", "~/x.bundle", "--episodes", 1, before=before).code == 0
    compared = kit.run("eval", "A=~/run", "--tier=kinematic", "--episodes", 1, "--json", before=before)
    assert compared.code == 0, compared
    assert sorted(path.name for path in kit.folder.iterdir() if not path.name.startswith(".streams")) == []


def test_a_home_folder_in_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    (tmp_path / "fit.toml").write_text('start = "~/a"\nmany = ["~/b", "c"]\n[inner]\npath = "~/d"\n')
    settings = read_settings(tmp_path / "fit.toml", ['other = "~/e"'])
    assert settings == {
        "start": "/home/anna/a",
        "many": ["/home/anna/b", "c"],
        "inner": {"path": "/home/anna/d"},
        "other": "/home/anna/e",
    }


@pytest.mark.parametrize("robot", ["~nobody-is-called-this/x", "~nobody-is-called-this"])
def test_a_home_folder_that_is_not_known(robot, kit):
    kit.run("record", f"--out={robot}").says(2, "the home folder ~nobody-is-called-this is not known")
    assert not list(kit.folder.glob("~*"))


def test_a_folder_that_is_called_like_a_home_folder(kit):
    assert kit.run("record", "--out", "./~/x", "--episodes", 1).code == 0
    assert (kit.folder / "~/x/meta/info.json").is_file()


@given(st.text())
def test_every_other_text_stays_as_it_is(text):
    if not text.startswith("~") and "=~" not in text:
        assert expand_home(text) == text


def test_no_command_reads_a_path_in_another_way():
    """An option of typer's own path type would not expand a home folder."""
    sources = "\n".join(path.read_text() for path in Path(cli.__file__).parent.rglob("*.py"))
    assert re.findall(r"Path(?: \| None)?,\s*path_(?:option|argument)\(", sources)
    assert re.findall(r"Path(?: \| None)?,\s*typer\.\w+\([^)]*", sources) == []


@pytest.mark.parametrize(
    "command",
    ["record --out={}", "eval {}", "run {} --robot=sim", "view --out={}.mp4"],
)
def test_a_name_that_no_disk_takes(command, kit):
    kit.run(*command.format("x" * 300).split()).says(2, "File name too long")


def test_the_folder_of_a_new_bundle_is_made_and_a_policy_in_this_folder_has_its_name(kit, trained_run):
    assert kit.run("export", trained_run.path, "--out=bundles/look.bundle").code == 0
    shutil.copytree(trained_run.path, kit.folder / "look[v2]")
    result = kit.run("eval", ".", "--episodes", 1, before="import os; os.chdir('look[v2]')")
    assert "look[v2]" in result.out


NO_PRIVILEGES = """import ctypes
libc = ctypes.CDLL(None)
if hasattr(libc, "capset"):  # where tests run as root, it enters any folder
    libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("record", "--out"),
        ("run", "--robot", "sim"),
        ("eval",),
        ("export", "--out", "it.bundle"),
        ("eval", "expert", "--variants", "late", "--html"),
    ],
    ids=" ".join,
)
def test_a_path_that_the_system_does_not_look_up(arguments, kit):
    closed = kit.folder / "closed"
    closed.mkdir(mode=0o000)
    try:
        kit.run(*arguments, "closed/x", before=NO_PRIVILEGES).says(2, "closed/x", "(Permission denied)")
    finally:
        closed.chmod(0o700)
    kit.run(*arguments, "x" * 300).says(2, "x" * 300, "(File name too long)")


def test_another_system_is_named_in_one_line():
    before = "import sys; sys.platform = 'win32'; import reachy_kit.cli.main"
    ended = subprocess.run([sys.executable, "-c", before], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (2, "reachy-kit runs on Linux and macOS; on Windows use WSL 2\n")
