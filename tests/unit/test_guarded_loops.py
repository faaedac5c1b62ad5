"""By construction: nothing drives a robot but under its watchdogs, and a command that does can be stopped by keys."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BARE = {
    "reachy_kit/runtime/watchdogs/guarded_rollout.py",  # the watchdogs' own
    "policies/reachy_policies/evaluation/policy_evaluation.py",  # receives their hooks from workflows/evaluate.py
    "sim/reachy_sim/view/task_images.py",  # pictures of a simulation
}

CALLED_BY = {"reachy_kit/workflows/driving/run_plan.py": "reachy_kit/workflows/run.py"}
"""Module that opens sessions → the one that opens the keys around them."""


def modules():
    for package in ("reachy_kit", "sim/reachy_sim", "policies/reachy_policies"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def calls(tree, name):
    """Calls of a function by its bare name or as an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            yield node


@pytest.fixture(scope="module")
def parsed():
    return dict(modules())


def test_the_bare_loop_is_called_where_nothing_real_moves(parsed):
    assert {module for module, tree in parsed.items() if any(calls(tree, "rollout"))} == BARE


def test_a_session_with_a_robot_is_opened_where_keys_can_stop_it(parsed):
    for module, tree in parsed.items():
        around = parsed[CALLED_BY.get(module, module)]
        stoppable = any(any(calls(around, name)) for name in ("stop_keys", "open_device_session"))
        for call in calls(tree, "open_session"):
            simulated = isinstance(call.args[0], ast.Constant) and call.args[0].value == "sim"
            assert stoppable or simulated, f"{module}:{call.lineno} opens a session that no key stops"
