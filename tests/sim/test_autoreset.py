"""A batch equals Gymnasium's own vector of single environments: seeds, episodes, rewards and infos, bit for bit."""

from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from reachy_kit.runtime.tasks.task_registry import known_tasks
from reachy_sim.tasks import simulated_task

GYM_IDS = [spec.gym_id for spec in known_tasks()]
TIERS = ("kinematic", "physics")
LOOK_AT = "ReachyMini/LookAt-v0"
EPISODE = 35
"""Decisions of look_at at 10 Hz."""


def pair(count, mode=AutoresetMode.NEXT_STEP, name=LOOK_AT, **options):
    """Our batch, and Gymnasium's batch of single environments."""
    options = {"policy_hz": 10, "tier": "kinematic"} | options
    batch = gymnasium.make_vec(name, count, autoreset_mode=mode, **options)
    make_single = partial(gymnasium.make, name, disable_env_checker=True, **options)
    return batch, SyncVectorEnv([make_single] * count, autoreset_mode=mode)


def actions(envs, seed=0, share=0.3):
    """Random targets in that share of the space; farther out the limiter has to search, which takes time."""
    rng = np.random.default_rng(seed)
    while True:
        yield (share * rng.uniform(envs.action_space.low, envs.action_space.high)).astype(np.float32)


@pytest.fixture
def assert_in_step(assert_same):
    """Assert that a batch and single environments do the same from each reset on."""

    def check(batch, singles, steps, resets=1, seed=7):
        targets = actions(batch)
        for turn in range(resets):
            chosen = seed if turn == 0 else None
            assert_same(batch.reset(seed=chosen), singles.reset(seed=chosen), f"reset {turn}:")
            for step in range(steps):
                action = next(targets)
                assert_same(batch.step(action), singles.step(action), f"step {step}:")
        batch.close()
        singles.close()

    return check


@pytest.mark.parametrize(
    ("mode", "reward"), [(AutoresetMode.NEXT_STEP, "dense"), (AutoresetMode.SAME_STEP, "sparse")], ids=["next", "same"]
)
def test_several_episodes_are_those_of_single_environments(assert_in_step, mode, reward):
    assert_in_step(*pair(2, mode, reward=reward), steps=2 * EPISODE + 5)


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
def test_environments_that_end_at_different_times_are_those_of_single_environments(assert_same, mode):
    batch, singles = pair(3, mode)
    assert_same(batch.reset(seed=1), singles.reset(seed=1))
    over = np.zeros(3, dtype=np.bool_)
    for step, action in zip(range(EPISODE + 20), actions(batch), strict=False):
        if step == 10:
            over = np.array([False, True, False])
        if over.any() and (step == 10 or mode is AutoresetMode.DISABLED):
            resets = [envs.reset(options={"reset_mask": over.copy()}) for envs in (batch, singles)]
            assert_same(*resets, f"reset at step {step}")
        ours, theirs = batch.step(action), singles.step(action)
        assert_same(ours, theirs, f"step {step}")
        over = ours[3]


def test_a_batch_without_autoreset_stops_at_the_end_of_an_episode():
    batch, _ = pair(2, AutoresetMode.DISABLED)
    batch.reset(seed=0)
    targets = actions(batch)
    for _ in range(EPISODE):
        batch.step(next(targets))
    with pytest.raises(gymnasium.error.ResetNeeded, match="environment 0 is over"):
        batch.step(next(targets))
    batch.reset(options={"reset_mask": np.array([True, True])})
    batch.step(next(targets))


def test_a_batch_steps_only_once_it_was_reset():
    batch, _ = pair(2)
    with pytest.raises(gymnasium.error.ResetNeeded):
        batch.step(next(actions(batch)))


def test_returned_observations_do_not_change_later(assert_same):
    batch, _ = pair(2, AutoresetMode.SAME_STEP, obs_type="pixels_state")
    kept = [batch.reset(seed=0)]
    kept += [batch.step(action) for _, action in zip(range(EPISODE), actions(batch), strict=False)]
    again, _ = pair(2, AutoresetMode.SAME_STEP, obs_type="pixels_state")
    fresh = [again.reset(seed=0)]
    for before, action in zip(kept, actions(again), strict=False):
        assert_same(before, fresh[-1])
        fresh.append(again.step(action))
    batch.close()
    again.close()


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("options", [{}, {"randomization": "mild"}, {"randomization": "wide"}], ids=str)
def test_randomised_motors_and_senses_are_those_of_single_environments(assert_in_step, tier, options):
    assert_in_step(*pair(2, tier=tier, **options), steps=8, resets=3)


OTHER_MOTORS = ("sluggish", "worn", "loose_antenna")
"""Variants that differ from tier to tier; the rest is the same code for both tiers, and runs with `make test-all`."""


@pytest.mark.parametrize(
    ("tier", "variant"),
    [
        pytest.param(tier, name, marks=() if tier == "kinematic" or name in OTHER_MOTORS else pytest.mark.long)
        for tier in TIERS
        for name in simulated_task("look_at").variants
        if name != "training"
    ],
)
def test_held_out_variants_are_those_of_single_environments(assert_in_step, tier, variant):
    assert_in_step(*pair(2, tier=tier, variant=variant), steps=5, resets=2)


@pytest.mark.parametrize("name", GYM_IDS)
def test_every_task_is_that_of_single_environments(assert_in_step, name):
    assert_in_step(*pair(2, AutoresetMode.SAME_STEP, name), steps=15, resets=2)


def test_images_are_those_of_single_environments(assert_in_step):
    options = {"obs_type": "pixels_state", "variant": "busy_background", "image_size": 32}
    assert_in_step(*pair(2, AutoresetMode.SAME_STEP, **options), steps=EPISODE + 3)


# Reset


@pytest.mark.parametrize("tier", TIERS)
def test_a_seed_begins_the_same_episode_whatever_came_before(assert_same, tier):
    batch, _ = pair(2, tier=tier)
    first, _ = batch.reset(seed=3)
    for _, action in zip(range(EPISODE + 4), actions(batch), strict=False):
        batch.step(action)
    assert_same(batch.reset(seed=3)[0], first)
    for _, action in zip(range(EPISODE), actions(batch), strict=False):
        batch.step(action)  # to the very end of an episode
    assert_same(batch.reset(seed=3)[0], first)
    following, _ = batch.reset()
    assert not np.array_equal(following["agent_pos"], first["agent_pos"])


def test_without_a_seed_two_batches_differ():
    first, second = pair(2)[0], pair(2)[0]
    assert not np.array_equal(first.reset()[0]["agent_pos"], second.reset()[0]["agent_pos"])


@pytest.mark.parametrize("physics", ["daemon", "fast"])
def test_neither_threads_nor_the_size_of_the_batch_change_anything(assert_same, physics):
    def trajectory(count, threads):
        envs = gymnasium.make_vec(LOOK_AT, count, tier="physics", physics=physics, policy_hz=10, threads=threads)
        wild = actions(gymnasium.make_vec(LOOK_AT, 5, tier="kinematic"), share=1.0)
        observations = [envs.reset(seed=2)[0]] + [envs.step(next(wild)[:count])[0] for _ in range(15)]
        return [{key: value[:3] for key, value in observation.items()} for observation in observations]

    single = trajectory(3, 1)
    for other in (trajectory(3, 2), trajectory(5, 2)):
        for observation, same in zip(single, other, strict=True):
            assert_same(same, observation)
