"""Commands in messages: what a shell makes of them is what was meant."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reachy_kit.runtime.shell_command import compose_command, portable_command, repeat_command

names = st.text(st.characters(blacklist_characters="\0/", blacklist_categories=["Cs"]), min_size=1)
bytes_that_are_not_text = st.binary(min_size=1).filter(lambda name: not set(name) & {0, ord("/")}).map(os.fsdecode)


def words_in_bash(line: str) -> list[str]:
    program, _, rest = line.partition(" ")
    assert program == "reachy-kit"
    printed = subprocess.run(["bash", "-c", b"printf '%s\\0' " + os.fsencode(rest)], capture_output=True, check=True)
    return [os.fsdecode(word) for word in printed.stdout.split(b"\0")[:-1]]


@hypothesis_settings(max_examples=25)
@given(names | bytes_that_are_not_text)
def test_a_shell_reads_a_path_as_it_is(name):
    *rest, dataset, option, out = words_in_bash(compose_command("train imitation", dataset=Path(name), out=name))
    assert rest == ["train", "imitation", "--dataset"]
    assert Path(dataset) == Path(name)
    assert not dataset.startswith(("-", "~"))
    assert (option, out) == ("--out", name)


def test_options_that_are_off_are_left_out():
    line = compose_command("train rl", Path("it's here"), task="track", init=None, obs_type="", fresh=True, json=False)
    assert line == 'reachy-kit train rl "it\'s here" --task track --fresh'


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A program at a path with a space, on the PATH or not."""
    program = tmp_path / "my tools/reachy-kit"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(program), "demo", "--out", "a b"])
    return program


def test_a_program_outside_the_path_is_called_as_it_was(installed):
    assert compose_command("demo", out="a b") == f"'{installed}' demo --out 'a b'"


def test_a_command_in_a_file_names_no_folder_of_the_program(installed):
    assert repeat_command(sys.argv[1:]) == portable_command("demo", out="a b") == "reachy-kit demo --out 'a b'"


def test_a_program_on_the_path_is_called_by_its_name(installed, monkeypatch):
    monkeypatch.setenv("PATH", str(installed.parent))
    assert shutil.which("reachy-kit") == str(installed)
    assert compose_command("demo") == "reachy-kit demo"
    monkeypatch.setenv("UV", "/usr/bin/uv")  # `uv run` and `uvx` prepend to the PATH of the program, not of the shell
    assert compose_command("demo") == f"'{installed}' demo"
