"""Where commands write: checked before the work, nothing of another kind overwritten, no raw error of the system."""

import os
import subprocess

import pytest

from ..commands.command import REACHY_KIT

SMALL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))"
"""Python that lets a command write files of 64 KiB at most: a disk that is full, wherever the test runs."""


@pytest.fixture
def outputs(recorded_dataset, trained_run):
    """Commands with an output; {} stands for its path. The second part is the name of a file, if it is one."""
    return {
        "record": (("record", "--episodes", 1, "--out"), ""),
        "imitation": (("train", "imitation", "--dataset", recorded_dataset, "--set", "max_steps=50", "--out"), ""),
        "seeds": (("train", "imitation", "--dataset", recorded_dataset, "--seeds", 1, "--out"), ""),
        "rl": (("train", "rl", "--task", "look_at", "--init", trained_run.path, "--iterations", 1, "--out"), ""),
        "demo": (("demo", "--out"), ""),
        "sysid": (("sysid", "--out"), ""),
        "export": (("export", trained_run.path, "--out"), "it.bundle"),
        "page": (("eval", "expert", "--tier", "kinematic", "--episodes", 1, "--films", 0, "--html"), "it.html"),
        "film": (("view", "--seconds", 0.2, "--width", 160, "--out"), "it.mp4"),
    }


ALL = ["record", "imitation", "seeds", "rl", "demo", "sysid", "export", "page", "film"]
FOLDERS, FILES = ALL[:6], ALL[6:]


def leaves(kit):
    return sorted(path.name for path in kit.folder.iterdir() if not path.name.startswith(".streams"))


@pytest.mark.parametrize("command", ALL)
def test_a_full_disk_is_noticed_before_the_work(command, kit, outputs):
    arguments, name = outputs[command]
    result = kit.run(*arguments, f"new{name}", before=SMALL_DISK)
    result.says(1, f"new{name} cannot be written", "Make room")
    assert leaves(kit) == []


@pytest.mark.parametrize("command", ALL)
def test_a_file_where_a_folder_is_expected(command, kit, outputs):
    (kit.folder / "notes.txt").write_text("keep me")
    arguments, name = outputs[command]
    result = kit.run(*arguments, f"notes.txt/{name or 'new'}")
    assert result.code == 2, result
    result.says(2, "notes.txt")
    assert (kit.folder / "notes.txt").read_text() == "keep me"


@pytest.mark.parametrize("command", ALL)
def test_a_link_to_nothing(command, kit, outputs):
    (kit.folder / "link").symlink_to("gone")
    arguments, name = outputs[command]
    result = kit.run(*arguments, f"link/{name}" if name else "link")
    assert result.code == 2, result
    result.says(2, "link")
    assert leaves(kit) == ["link"]


@pytest.mark.parametrize("command", FILES)
def test_a_file_of_another_kind_is_not_overwritten(command, kit, outputs):
    arguments, name = outputs[command]
    (kit.folder / name).write_text("years of work")
    kit.run(*arguments, name).says(4, f"{name} exists and is not a", "Choose another name")
    assert (kit.folder / name).read_text() == "years of work"


@pytest.mark.parametrize("command", FILES)
def test_an_earlier_output_is_replaced(command, kit, outputs):
    arguments, name = outputs[command]
    for _ in range(2):
        result = kit.run(*arguments, name)
        assert result.code == 0, result
    assert leaves(kit) == [name]


def test_a_bundle_makes_its_folder(kit, trained_run):
    result = kit.run("export", trained_run.path, "--out", "new/folder/it.bundle")
    assert result.code == 0, result
    assert kit.run("run", "new/folder/it.bundle", "--robot", "sim", "--seconds", 0.2).code == 0
    (kit.folder / "notes.txt").write_text("keep me")
    kit.run("export", trained_run.path, "--out", "notes.txt/a/it.bundle").says(2, "notes.txt is a file")


@pytest.mark.parametrize("command", FILES)
def test_a_folder_where_a_file_is_expected(command, kit, outputs):
    arguments, name = outputs[command]
    (kit.folder / name).mkdir()
    kit.run(*arguments, name).says(2, f"{name} is a folder")


def test_measured_motors_replace_no_other_files(kit):
    (kit.folder / "motors").mkdir()
    (kit.folder / "motors/sysid.png").write_text("years of work")
    kit.run("sysid", "--out", "motors").says(4, "sysid.png exists and is not of an earlier result")


@pytest.mark.parametrize("command", ["imitation", pytest.param("rl", marks=pytest.mark.long)])
def test_a_run_is_written_through_a_link(command, kit, outputs):
    (kit.folder / "disk/empty").mkdir(parents=True)
    (kit.folder / "link").symlink_to("disk/empty")
    small = ("--set", "num_envs=4", "--set", "eval_episodes=4", "--set", "batch_size=16") if command == "rl" else ()
    for _ in range(2):  # the second replaces the first
        result = kit.start(*outputs[command][0], "link", *small, *(("--fresh",) if command == "rl" else ())).wait(200)
        assert result.code == 0, result
    assert (kit.folder / "link").is_symlink()
    assert (kit.folder / "disk/empty/card.json").is_file()


@pytest.fixture
def disk(kit):
    """An empty disk of the test's own, mounted in its folder."""
    disk = kit.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("command", ["imitation", "rl"])
@pytest.mark.parametrize("out", [".", "..", "../..", "../disk"])
def test_a_run_replaces_neither_the_folder_that_the_command_runs_in_nor_a_mounted_disk(
    command, out, kit, outputs, disk
):
    inside = kit.folder / "inside"
    inside.mkdir()
    kit.folder = inside
    result = kit.run(*outputs[command][0], out)
    assert result.code in (2, 4), result
    assert "Traceback" not in result.err
    assert "error: FileExists" not in result.err


def test_a_dataset_is_recorded_into_the_folder_that_the_command_runs_in(kit):
    inside = "import os; os.mkdir('empty'); os.chdir('empty')"
    result = kit.run("record", "--episodes", 1, "--out", ".", before=inside)
    assert result.code == 0, result
    assert "--dataset . --out runs/empty" in result.out


LOSES_ITS_DATASET = """
import shutil
from pathlib import Path
from reachy_kit.workflows.training import train_imitation
from reachy_policies.runs.saved_run import open_run

def train(dataset, **rest):
    shutil.rmtree(dataset[0])
    return open_run(Path({run!r}))

train_imitation.train_imitation = train
"""
"""Python for a command's process: its training, which has long run, ends after its dataset was moved away."""


def test_the_json_of_a_training_needs_no_dataset_any_more(kit, trained_run):
    (kit.folder / "data").mkdir()
    result = kit.run(
        "train", "imitation", "--dataset", "data", "--out", "run", "--json",
        before=LOSES_ITS_DATASET.format(run=str(trained_run.path)),
    )  # fmt: skip
    assert result.code == 0, result
    assert result.json["run"] == str(trained_run.path)


PLAIN = "import io; io.text_encoding = lambda encoding, stacklevel=2: encoding or 'ascii'"
"""Python that gives files the encoding of a locale without letters beyond English."""


def test_a_page_is_written_where_files_are_in_plain_letters(kit, outputs):
    arguments, name = outputs["page"]
    assert kit.run(*arguments, name, before=PLAIN).code == 0
    assert "°" in (kit.folder / name).read_text(encoding="utf-8")


@pytest.mark.long
def test_a_page_is_written_whatever_the_encoding_of_the_locale(kit, outputs):
    arguments, name = outputs["page"]
    plain = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = subprocess.run(
        [str(REACHY_KIT), *map(str, arguments), name], cwd=kit.folder, env=plain, capture_output=True, check=False
    )
    assert result.returncode == 0, result
    assert "°" in (kit.folder / name).read_text(encoding="utf-8")
