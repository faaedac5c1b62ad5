"""A person corrects a policy: who drives when, and which episodes are worth keeping."""

import numpy as np
import pytest

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import NEUTRAL, Observation
from reachy_kit.runtime.teleop.hand_device import HandTeleoperator
from reachy_kit.runtime.teleop.take_over import TakeOver
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy


class Turning:
    """A policy, or a device, that turns the body a bit further with each decision since its reset."""

    name, controls, lost = "turning", (), "unplugged"

    def __init__(self, step):
        self.step = step

    def reset(self):
        self.decisions = 0

    def act(self, observation):
        self.decisions += 1
        return observation.action_in_force + self.step * np.eye(9)[6]


@pytest.fixture
def take_over():
    take = TakeOver(GuardedPolicy(Turning(0.1), []), Turning(-0.01))
    take.reset()
    return take


def drive(take, decisions, action=NEUTRAL):
    """The body's angle after each decision of a robot that follows at once, and whether it was the person's."""
    angles, marks = [], []
    for index in range(decisions):
        action = take.act(Observation(action, index / 25, last_action=action))
        angles.append(action[6])
        marks.append(take.intervened)
    return angles, marks


def test_the_policy_drives_until_the_person_takes_over_and_again_afterwards(take_over):
    angles, marks = drive(take_over, 2)
    take_over.toggle()
    corrected, person = drive(take_over, 2, action=NEUTRAL + 0.2 * np.eye(9)[6])
    take_over.toggle()
    after, policy = drive(take_over, 1, action=NEUTRAL + 0.18 * np.eye(9)[6])
    assert np.allclose([*angles, *corrected, *after], [0.1, 0.2, 0.19, 0.18, 0.28])
    assert [*marks, *person, *policy] == [False, False, True, True, False]


def test_a_take_over_in_the_midst_of_a_decision_counts_from_the_next_one(take_over):
    drive(take_over, 1)
    take_over.toggle()
    assert not take_over.intervened


def test_each_take_begins_with_the_policy(take_over):
    take_over.toggle()
    drive(take_over, 1)
    take_over.reset()
    assert drive(take_over, 1) == ([pytest.approx(0.1)], [False])


def test_a_lost_device_does_not_stop_the_policy(take_over):
    assert take_over.lost is None
    take_over.toggle()
    assert take_over.lost == "unplugged"


def test_a_hand_on_the_robot_cannot_correct_a_policy():
    with pytest.raises(WrongUseError, match="another device"):
        TakeOver(GuardedPolicy(Turning(0.1), []), HandTeleoperator(25))
