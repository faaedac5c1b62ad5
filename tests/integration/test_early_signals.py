"""Ctrl-C, SIGTERM and SIGHUP while a command starts: an exit code, and not a word of Python's."""

import os
import signal
import subprocess
import threading
import time

import pytest

from ..commands.command import REACHY_KIT

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def interrupt(number, delay, arguments, folder):
    """Start a command, and send a signal a while after its own code has begun; returns exit code and messages.

    Python prints a line for each module that it imports, and typer is the first after the handlers are there.
    """
    process = subprocess.Popen(
        ["env", "--default-signal=INT,TERM,HUP", REACHY_KIT, *arguments],  # some are ignored under `nohup`
        cwd=folder,
        env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "reachy_kit.runtime.interrupts" in line:
            break
    for line in process.stderr:
        lines.append(line)
        break
    timer = threading.Timer(delay, process.send_signal, (number,))
    timer.start()
    lines += process.stderr.readlines()
    code = process.wait()
    timer.cancel()
    return code, "".join(line for line in lines if not line.startswith("import time:"))


def in_shell(code):
    """An exit code as a shell shows it: in Python's last instants a signal ends the process itself."""
    return 128 - code if code < 0 else code


EVAL = ("eval", "expert", "--episodes", "500")


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.3])
def test_a_signal_in_the_first_instants(number, delay, tmp_path):
    code, messages = interrupt(number, delay, EVAL, tmp_path)
    assert in_shell(code) == CODES[number], messages
    assert "Traceback" not in messages
    assert "error" not in messages


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_signal_at_any_instant_of_the_start(number, tmp_path):
    for step in range(100):
        code, messages = interrupt(number, step * 0.015, EVAL, tmp_path)
        assert in_shell(code) == CODES[number], (step, messages)
        assert "Traceback" not in messages, (step, messages)
        assert "error" not in messages, (step, messages)


def test_a_command_that_ignores_hangups_survives_one(tmp_path):
    """As after `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what it starts inherits that
    process = subprocess.Popen(
        [REACHY_KIT, "eval", "expert", "--episodes", "1", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    signal.signal(signal.SIGHUP, before)
    while process.poll() is None:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    assert process.returncode == 0, process.stderr.read()
