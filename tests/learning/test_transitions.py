"""The one loop over vector environments: whole episodes, a fresh policy, and what each decision was made on."""

from itertools import pairwise

import numpy as np
import pytest

from reachy_kit.workflows.inputs.sim_envs import make_envs
from reachy_policies.rollouts.episode_batch import run_episodes, transitions


class HoldingPolicy:
    """A policy that keeps the pose, and counts its resets."""

    resets = 0

    def reset(self):
        self.resets += 1

    def act(self, observation):
        return observation["agent_pos"].astype(float)


@pytest.fixture(scope="module")
def envs():
    envs = make_envs("look_at", 3, tier="kinematic")
    yield envs
    envs.close()


def test_each_transition_begins_where_the_one_before_ended(envs):
    policy = HoldingPolicy()
    steps = list(transitions(envs, policy, 0))
    assert len(steps) == envs.get_attr("_max_episode_steps")[0]
    assert policy.resets == 1
    for before, after in pairwise(steps):
        assert after.observation is before.next_observation


def test_a_loop_may_be_left_early_and_begun_again(envs):
    first = next(transitions(envs, HoldingPolicy(), [4, 5, 6])).observation
    again = next(transitions(envs, HoldingPolicy(), 4)).observation
    np.testing.assert_array_equal(first["agent_pos"], again["agent_pos"])


def test_a_batch_holds_what_the_transitions_say(envs):
    batch, steps = run_episodes(envs, HoldingPolicy(), 0), list(transitions(envs, HoldingPolicy(), 0))
    np.testing.assert_array_equal(batch.error, np.stack([step.info["error"] for step in steps], axis=1))
    np.testing.assert_array_equal(batch.reward, np.mean([step.reward for step in steps], axis=0))
    np.testing.assert_array_equal(batch.success, steps[-1].info["is_success"])
    assert batch.commands.shape == (3, len(steps), 9)
