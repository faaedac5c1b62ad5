"""Streams of every kind: narrow and foreign-lettered terminals, closed pipes, full disks. The work is never lost."""

import json
import os
import subprocess

import pytest

from reachy_kit.cli import show
from reachy_policies.evaluation.report.tables import Table

from ..commands.command import REACHY_KIT

EVAL = f"'{REACHY_KIT}' eval expert random --episodes 2"


@pytest.fixture
def shell(tmp_path):
    """Runs a line in bash, where a pipe fails if any of its commands does."""

    def run(line, **environment):
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=tmp_path,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )

    return run


OTHER = pytest.param("cp1252", marks=pytest.mark.long)


@pytest.mark.parametrize("encoding", ["ascii", OTHER])
def test_every_encoding_shows_the_results(encoding, shell):
    result = shell(EVAL, PYTHONIOENCODING=encoding)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.decode(encoding).splitlines()
    assert any("random" in line and "0/2" in line for line in lines)
    assert any(line.startswith(("random - expert", "random − expert")) for line in lines)
    table = [line for line in lines if line.startswith("|")]
    assert len({len(line) for line in table}) <= 1, "columns are aligned although signs were replaced"


@pytest.mark.parametrize("encoding", ["ascii", OTHER])
def test_an_error_about_a_path_that_the_encoding_lacks(encoding, shell):
    result = shell(f"'{REACHY_KIT}' run 'Übung – 新.bundle' --robot sim", PYTHONIOENCODING=encoding)
    assert result.returncode == 2
    assert b"does not exist" in result.stderr
    assert b"Traceback" not in result.stderr


def test_a_path_that_is_not_text(shell):
    result = shell(f"'{REACHY_KIT}' run $'not\\xfftext.bundle' --robot sim")
    assert result.returncode == 2
    assert b"not\xfftext.bundle does not exist" in result.stderr


@pytest.mark.parametrize("columns", [40, pytest.param(60, marks=pytest.mark.long)])
def test_a_table_fits_the_terminal_and_lacks_nothing(columns, shell):
    result = shell(EVAL, COLUMNS=str(columns))
    table = result.stdout.decode().split("random −")[0]
    assert max(map(len, table.splitlines())) <= columns
    for cell in ("expert", "random", "2/2", "0/2", "34–100 %", "0–66 %", "95 %"):
        assert cell in " ".join(table.split())
    assert "…" not in table


def test_a_table_in_a_file_is_as_wide_as_it_takes(kit):
    result = kit.run("eval", "expert", "--variants", "loose_antenna", "--tier", "kinematic", "--episodes", 1)
    assert result.code == 0, result
    assert "loose_antenna" in result.out
    assert max(map(len, result.out.splitlines())) > 80


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_a_plain_terminal(variable, shell):
    result = shell(f'script -qec "{EVAL}" /dev/null', **variable)
    assert result.returncode == 0
    assert b"0/2" in result.stdout
    if "NO_COLOR" in variable:
        assert b"\x1b[3" not in result.stdout.replace(b"\x1b[3m", b""), "no colours; italics are allowed"


def test_a_reader_that_leaves_ends_the_command_quietly(shell):
    result = shell(f"{EVAL} | true")
    assert result.returncode == 141  # SIGPIPE's, as of any other program
    assert b"Traceback" not in result.stderr
    assert b"error" not in result.stderr


def test_notes_that_nobody_reads_do_not_stop_the_work(shell):
    result = shell(f"{EVAL} --json 2> >(true) > result.json; code=$?; cat result.json; exit $code")
    assert result.returncode == 0
    assert len(json.loads(result.stdout)["evaluations"]) == 2


def test_notes_that_cannot_be_written_do_not_stop_the_work(shell):
    result = shell(f"{EVAL} --json 2>/dev/full")
    assert result.returncode == 0
    assert len(json.loads(result.stdout)["evaluations"]) == 2


def test_a_result_that_cannot_be_written_fails(shell):
    result = shell(f"{EVAL} > /dev/full")
    assert result.returncode == 1
    assert b"error: the result cannot be written to standard output (No space left on device)" in result.stderr
    assert b"Traceback" not in result.stderr


def test_closed_streams(shell):
    assert shell(f"{EVAL} >&- 2>&-").returncode == 0


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("name", ["run[/x]", "track[v2]", ":x:"])
def test_a_name_is_shown_as_it_is(name, terminal, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb" if not terminal else "xterm")
    monkeypatch.setenv("FORCE_COLOR" if terminal else "NO_COLOR", "1")
    show.print_table(Table(f"Runs of {name}", ("policy", name), ((name, "1"),)))
    with show.TERMINAL.working(f"reading {name}"):
        pass
    with show.TERMINAL.progress(f"running {name}", 1) as advance:
        advance()
    out, err = capsys.readouterr()
    assert out.count(name) == 3
    assert f"reading {name}" in err
    assert f"running {name}" in err
