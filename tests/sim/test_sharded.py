"""Environments shared by worker processes are the same environments; a worker's failure is reported here."""

import signal
import subprocess
import sys

import gymnasium
import numpy as np
import psutil
import pytest
from gymnasium.vector import AutoresetMode

import reachy_sim  # noqa: F401  (registers the environments)
from reachy_kit.runtime.errors import KitError, WrongUseError

LOOK_AT = "ReachyMini/LookAt-v0"
EPISODE = 35
"""Decisions of look_at at 10 Hz."""


def make_envs(processes, count=5, name=LOOK_AT, **options):
    options = {"policy_hz": 10, "tier": "kinematic"} | options
    return gymnasium.make_vec(name, count, processes=processes, **options)


def actions(envs, steps, seed=0):
    rng = np.random.default_rng(seed)
    box = envs.action_space
    return [(0.3 * rng.uniform(box.low, box.high)).astype(np.float32) for _ in range(steps)]


@pytest.fixture
def shared():
    envs = make_envs(2)
    envs.reset(seed=0)
    yield envs
    envs.close()


def workers():
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
def test_two_processes_do_what_one_does(assert_same, mode):
    here, there = (make_envs(processes, autoreset_mode=mode) for processes in (1, 2))
    assert_same(there.reset(seed=3), here.reset(seed=3), "reset")
    over = np.zeros(5, dtype=np.bool_)
    for step, action in enumerate(actions(here, EPISODE + 20)):
        if step == 10:
            over = np.array([False, True, False, False, False])  # so that they end at different times
        if over.any() and (step == 10 or mode is AutoresetMode.DISABLED):
            resets = [envs.reset(options={"reset_mask": over.copy()}) for envs in (there, here)]
            assert_same(*resets, f"reset at step {step}")
        ours, theirs = there.step(action), here.step(action)
        assert_same(ours, theirs, f"step {step}")
        over = ours[3]
    there.close()


@pytest.mark.parametrize(
    "options",
    [
        {"tier": "physics"},
        {"name": "ReachyMini/Dance-v0", "reward": "sparse", "randomization": "wide"},
        {
            "obs_type": "pixels_state",
            "image_size": 32,
            "variant": "busy_background",
            "count": 2,
            "render_mode": "rgb_array",
        },
    ],
    ids=["physics", "dance", "pixels"],
)
def test_options_reach_the_workers(assert_same, options):
    here, there = make_envs(1, **options), make_envs(2, **options)
    seeds = list(range(40, 40 + here.num_envs))
    assert_same(there.reset(seed=seeds), here.reset(seed=seeds))
    for action in actions(here, 4):
        assert_same(there.step(action), here.step(action))
    assert_same(there.render() or (), here.render() or ())
    assert there.call("task_description") == here.call("task_description")
    for envs in (here, there):
        envs.close()


def test_start_poses_reach_their_environments(shared):
    pose = np.zeros((5, 9))
    pose[:, 4] = [0.0, 0.1, 0.2, 0.3, -0.1]
    observation, _ = shared.reset(options={"pose": pose})
    np.testing.assert_allclose(observation["agent_pos"], pose, atol=1e-6)


def test_what_is_refused_names_the_environment_and_changes_nothing(assert_same, shared):
    before, _ = shared.reset(seed=5)
    poses = np.zeros((5, 9))
    poses[3, 2] = 1.0
    with pytest.raises(WrongUseError, match="environment 3"):
        shared.reset(seed=9, options={"pose": poses})
    broken = np.zeros((5, 9))
    broken[4, 2] = np.nan
    with pytest.raises(WrongUseError, match="environment 4"):
        shared.step(broken)
    untouched = make_envs(1)
    assert_same(before, untouched.reset(seed=5)[0])
    action = actions(shared, 1)[0]
    assert_same(shared.step(action), untouched.step(action))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"processes": 6}, "processes=6"),
        ({"processes": 0}, "processes=0"),
        ({"processes": 2, "tier": "magic"}, "no tier is called 'magic'"),
        ({"processes": 2, "variant": "sluggish", "randomization": "mild"}, "a domain of its own"),
    ],
)
def test_what_does_not_exist_is_refused_as_it_would_be_here(wrong, message):
    with pytest.raises(WrongUseError, match=message):
        make_envs(**wrong)
    assert not workers()


def test_closing_ends_the_workers_and_twice_does_no_harm(shared):
    assert len(workers()) == 2
    shared.close()
    assert not workers()
    shared.close()


def test_a_killed_worker_is_reported_and_the_others_end(shared):
    workers()[1].send_signal(signal.SIGKILL)
    with pytest.raises(KitError, match=r"environments 2 to 4 has died \(exit code -9\)"):
        for action in actions(shared, 2):
            shared.step(action)
    assert not workers()
    with pytest.raises(KitError, match="make them again"):
        shared.step(actions(shared, 1)[0])


def test_the_simulation_of_other_processes_is_refused(shared):
    with pytest.raises(WrongUseError, match="processes=1"):
        _ = shared.simulation


LOOP = """
import gymnasium, reachy_sim
if __name__ == "__main__":
    envs = gymnasium.make_vec("ReachyMini/LookAt-v0", 4, tier="kinematic", processes=2)
    envs.reset(seed=0)
    print("running", flush=True)
    while True:
        envs.step(envs.action_space.sample())
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_the_workers_end_with_the_process_that_started_them(how, tmp_path):
    script = tmp_path / "loop.py"
    script.write_text(LOOP)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as loop:
        assert loop.stdout.readline() == "running\n"
        children = psutil.Process(loop.pid).children(recursive=True)
        loop.send_signal(how)
        _, errors = loop.communicate(timeout=30)
    assert errors.count("KeyboardInterrupt") <= 1
    assert not psutil.wait_procs(children, timeout=10)[1]
