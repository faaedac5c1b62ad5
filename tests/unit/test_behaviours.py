"""Policies that are written: holding still, and a person who intervenes."""

import numpy as np

from reachy_kit.runtime.behaviours.hold import HoldPolicy
from reachy_kit.runtime.behaviours.intervention import InterventionPolicy
from reachy_kit.runtime.interface import NEUTRAL, Observation

STATE, LAST_ACTION, HUMAN = NEUTRAL + 0.01, NEUTRAL + 0.02, NEUTRAL + 0.03


class Counting:
    """A policy whose actions count its decisions since its last reset."""

    def reset(self):
        self.decisions = 0

    def act(self, observation):
        self.decisions += 1
        return np.full(9, float(self.decisions))


def test_holding_keeps_the_action_in_force_not_where_the_robot_sags_to():
    policy = HoldPolicy()
    policy.reset()
    np.testing.assert_array_equal(policy.act(Observation(STATE, 0.0, last_action=LAST_ACTION)), LAST_ACTION)
    np.testing.assert_array_equal(policy.act(Observation(STATE, 0.0)), STATE)


def test_a_person_overrides_the_policy_which_starts_again_when_released():
    wishes = iter([None, None, HUMAN, HUMAN, None, None])
    policy = InterventionPolicy(Counting(), lambda: next(wishes))
    policy.reset()
    actions = [policy.act(Observation(STATE, 0.0)) for _ in range(6)]
    np.testing.assert_array_equal([action[0] for action in actions], [1, 2, HUMAN[0], HUMAN[0], 1, 2])


def test_a_new_episode_forgets_an_intervention():
    wishes = iter([HUMAN, None, None])
    policy = InterventionPolicy(Counting(), lambda: next(wishes))
    policy.reset()
    policy.act(Observation(STATE, 0.0))
    policy.reset()
    assert [policy.act(Observation(STATE, 0.0))[0] for _ in range(2)] == [1, 2]
