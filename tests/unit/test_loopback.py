"""Tests stay on this computer: looking up ``reachy-mini.local`` fails, here and in every Python that a test starts."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ELSEWHERE = [
    "socket.getaddrinfo('reachy-mini.local', 8000)",
    "socket.gethostbyname('reachy-mini.local')",
    "socket.create_connection(('192.0.2.7', 8000), 0.1)",
    "socket.socket(type=socket.SOCK_DGRAM).sendto(b'who is there', ('224.0.0.251', 5353))",
    "__import__('asyncio').run(__import__('asyncio').open_connection('reachy-mini.local', 8000))",
    "__import__('urllib.request').request.urlopen('http://reachy-mini.local:8000/')",
]


@pytest.fixture
def attempts(tmp_path, monkeypatch):
    """The file with attempts, instead of the one that fails this test."""
    file = tmp_path / "attempts"
    monkeypatch.setenv("OUTSIDE_LOOPBACK", str(file))
    return file


@pytest.mark.parametrize("code", ELSEWHERE)
def test_reaching_another_computer_fails_and_leaves_a_line(code, attempts):
    with pytest.raises(Exception, match="a test reaches beyond this computer"):
        eval(code)
    assert "by " in attempts.read_text()


def test_a_python_that_a_test_starts_fails_too_even_if_it_handles_what_a_network_raises(attempts):
    lookup = "socket.getaddrinfo('Reachy-Mini.local.', 8000)"
    code = f"import contextlib, socket\nwith contextlib.suppress(OSError):\n    {lookup}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "reaches beyond this computer: socket.getaddrinfo reachy-mini.local" in ended.stderr
    assert attempts.read_text().startswith(f"socket.getaddrinfo reachy-mini.local by {sys.executable}")


def test_this_computer_is_reached_by_its_names_and_numbers(attempts):
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("localhost", "127.0.0.1"):
            socket.create_connection((host, server.getsockname()[1])).close()
    assert not attempts.exists()


def test_whether_a_name_is_an_address_and_this_computers_own_name_may_be_asked(attempts):
    with contextlib.suppress(socket.gaierror):
        socket.getaddrinfo("reachy-mini.local", 8000, flags=socket.AI_NUMERICHOST)
    with contextlib.suppress(socket.gaierror):
        socket.getaddrinfo(socket.gethostname(), 8000)
    assert not attempts.exists()


def test_a_connection_that_only_asks_for_this_computers_address_finds_no_network(attempts):
    with socket.socket(type=socket.SOCK_DGRAM) as asking, pytest.raises(OSError, match="no network"):
        asking.connect(("192.0.2.7", 80))
    assert not attempts.exists()


def test_a_run_in_which_a_test_tried_fails_even_if_the_test_handles_it():
    outer = ("TEST_RUN_FOLDER", "OUTSIDE_LOOPBACK", "PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    arguments = ["-m", "pytest", "-p", "no:cacheprovider", "-q", "tests/loopback/one_that_tries.py"]
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended
    assert "it reaches beyond this computer:\nsocket.getaddrinfo reachy-mini.local by" in ended.stdout  # of the test
    assert "These reached beyond this computer:\nsocket.getaddrinfo reachy-mini.local by" in ended.stdout  # of the run
    assert "1 passed, 1 error" in ended.stdout
