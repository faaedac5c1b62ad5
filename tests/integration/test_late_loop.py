"""A control loop that does not keep its rate is never silent: `run` and `eval` say it, `record` keeps nothing false."""

import re
import zipfile

import numpy as np
import pytest

from reachy_kit.runtime.interface import NEUTRAL, YAW
from reachy_kit.runtime.robots.loop_rate import REFUSED

LOOKING_LEFT = NEUTRAL + 0.5 * (np.arange(9) == YAW)

CLOCK = """
from dataclasses import replace
from reachy_sim.robot import SimRobot

observe, reset, resets = SimRobot.get_observation, SimRobot.reset, []

def count(robot, pose):
    resets.append(pose)
    reset(robot, pose)

def late(robot):
    observation = observe(robot)
    return replace(observation, capture_time=slowdown(len(resets)) * observation.capture_time)

SimRobot.get_observation, SimRobot.reset = late, count
"""
"""Python for a command's process: the simulated robot's clock is late by a factor that depends on the episode."""
CONNECTED = 2
"""Resets before the first episode."""


def with_large_matrices(bundle):
    """The graph of a bundle, which multiplies large matrices before it answers."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_from_string(zipfile.ZipFile(bundle).read("policy.onnx"))
    [answer] = model.graph.node
    answer.output[0] = "constant"
    size = numpy_helper.from_array(np.array([1200, 1200]), "size")
    model.graph.initializer.append(size)
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceMax", ["state"], ["any"], keepdims=0),
        helper.make_node("Add", ["zeros", "any"], ["first"]),  # depends on the input, so nothing is computed beforehand
        *(helper.make_node("MatMul", [before, "zeros"], [after]) for before, after in (("first", "a"), ("a", "b"))),
        helper.make_node("ReduceMax", ["b"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["constant", "nothing"], ["action"]),
    ]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.mark.long
def test_a_policy_that_is_too_heavy_for_the_computer_is_named_and_the_loop_keeps_its_rate(kit, daemon, make_bundle):
    heavy = make_bundle(LOOKING_LEFT, with_large_matrices(make_bundle(LOOKING_LEFT)))
    result = kit.run("run", heavy, "--robot", daemon.address, "--no-camera", "--seconds", 1)
    assert result.code == 0, result
    said = re.search(r"inference: (\d+\.\d) ms per plan .* waited for a plan in (\d+) % of the decisions", result.out)
    assert said and float(said[1]) > 1000 / 25 and int(said[2]) > 5, result
    assert "warning: the policy is too slow for this computer" in result.err
    late = re.search(r"(\d+\.\d) % of the ticks late", result.out)
    assert late and float(late[1]) < 50, result  # in the loop, inference would make every second tick late


def test_run_says_that_its_loop_was_late(kit, make_bundle):
    slow_clock = f"slowdown = lambda resets: 1.1\n{CLOCK}"
    result = kit.run("run", make_bundle(LOOKING_LEFT), "--robot", "sim", "--seconds", 3, before=slow_clock)
    assert result.code == 0, result
    assert "warning: the control loop was late in 1 of 1 episodes; episode 0 took" in result.err
    assert "instead of 3.00 s" in result.err


def test_eval_marks_a_late_loop_in_its_notes(kit):
    result = kit.run("eval", "expert", "--episodes", 2, before=f"slowdown = lambda resets: 1.1\n{CLOCK}")
    assert result.code == 0, result
    assert "warning: expert: the control loop was late in 2 of 2 episodes" in result.err


def test_record_refuses_what_is_too_late_to_keep_and_says_what_to_do(kit):
    too_late = f"slowdown = lambda resets: {REFUSED + 0.1}\n{CLOCK}"
    result = kit.run("record", "--out", "data", "--episodes", 2, before=too_late)
    result.says(4, "was not kept", "instead of", "Close other programs", "What was saved before is kept")
    assert kit.run("record", "--out", "data", "--episodes", 1, "--json").json["episodes"] == 1


def test_record_runs_an_episode_again_that_a_stall_made_too_late(kit, recorded_dataset):
    stalled = f"slowdown = lambda resets: 1.5 if resets == {CONNECTED + 1} else 1\n{CLOCK}"
    result = kit.run("record", "--out", "data", "--episodes", 1, before=stalled)
    assert result.code == 0, result
    assert result.err.count("It was not kept, and is run again") == 1
    assert "warning" not in result.err
    here, there = (first_episode(root) for root in (kit.folder / "data", recorded_dataset))
    assert len(here) == len(there)
    for column in ("action", "observation.state", "kit.seed", "kit.capture_time"):
        np.testing.assert_array_equal(np.stack(here[column]), np.stack(there[column]))


def test_a_recorded_episode_that_was_somewhat_late_is_marked_in_its_metadata(kit):
    result = kit.run("record", "--out", "data", "--episodes", 1, before=f"slowdown = lambda resets: 1.1\n{CLOCK}")
    assert result.code == 0, result
    assert "warning: the control loop was late in 1 of 1 episodes" in result.err

    import pandas as pd

    [path] = (kit.folder / "data").glob("meta/episodes/**/*.parquet")
    [episode] = pd.read_parquet(path).to_dict("records")
    first, last = episode["stats/kit.capture_time/min"][0], episode["stats/kit.capture_time/max"][0]
    assert last - first == pytest.approx(1.1 * (episode["length"] - 1) / 25)


def first_episode(root):
    import pandas as pd

    frames = pd.concat(pd.read_parquet(path) for path in sorted(root.glob("data/**/*.parquet")))
    return frames[frames["episode_index"] == 0]
