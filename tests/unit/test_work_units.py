"""Tests that share something costly run on one worker, in a run of its own with two workers."""

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

TESTS_FOLDER = Path(__file__).parents[1]

CONFTEST = """
import os
from pathlib import Path
import pytest
from work_units import UnitScheduling, start_with_the_longest, write_units

UNITS = Path(__file__).with_name("units.json")

def pytest_collection_modifyitems(items):
    start_with_the_longest(items)
    write_units(items, UNITS)

def pytest_xdist_make_scheduler(config, log):
    return UnitScheduling(UNITS, config, log)

@pytest.fixture
def shared_daemon():
    pass

@pytest.fixture(autouse=True)
def note(request):
    with UNITS.with_name("ran").open("a") as ran:
        print(os.environ["PYTEST_XDIST_WORKER"], request.node.name, file=ran)
"""
TESTS = """
def test_{file}_daemon(shared_daemon): pass
def test_{file}_1(): pass
def test_{file}_2(): pass
def test_{file}_3(): pass
"""


def test_the_tests_of_a_file_and_those_of_the_daemon_run_on_one_worker(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for file in "abcd":
        (tmp_path / f"test_{file}.py").write_text(TESTS.format(file=file))
    outer = ("TEST_RUN_FOLDER", "OUTSIDE_LOOPBACK", "PYTEST_ADDOPTS")
    environment = {name: value for name, value in os.environ.items() if name not in outer and "XDIST" not in name}
    environment["PYTHONPATH"] = os.pathsep.join([str(TESTS_FOLDER), environment.get("PYTHONPATH", "")])
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = ["-p", "xdist", "-n", "2", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    command = [sys.executable, "-m", "pytest", *options]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "16 passed" in ended.stdout, ended
    workers = defaultdict(set)
    for line in (tmp_path / "ran").read_text().splitlines():
        worker, test = line.split()
        workers["daemon" if test.endswith("daemon") else test[: len("test_a")]].add(worker)
    assert set(workers) == {"daemon", "test_a", "test_b", "test_c", "test_d"}
    assert [len(on) for on in workers.values()] == [1] * 5
    assert set.union(*workers.values()) == {"gw0", "gw1"}
