"""Ways of a robot that is measured where its legs do not reach, as one with a wrong calibration may be."""

import numpy as np
import pytest

from reachy_kit.runtime.interface import NEUTRAL, SLEEP
from reachy_kit.runtime.kinematics.reach import in_reach
from reachy_kit.runtime.robots.link.resting_ways import Ways, get_up, is_in_reach
from reachy_kit.runtime.safety import RESTING, Motion, limit

HEIGHT = 2


class Robot:
    """A robot whose daemon does not carry out what no legs reach.

    Args:
        height: at which its head is measured at first, m.
    """

    def __init__(self, height):
        self.state = NEUTRAL.copy()
        self.state[HEIGHT] = height
        self.motion = Motion.at_rest(self.state)

    def measured(self):
        return self.state

    def send(self, target):
        self.motion, _ = limit(self.state, self.motion, target, RESTING)
        if in_reach(self.motion.position):
            self.state = self.motion.position
        return self.motion.position


@pytest.mark.parametrize("height", [-0.075, -0.06, 0.03, 0.045])
def test_a_little_out_of_reach_a_robot_gets_up(height):
    robot = Robot(height)
    assert not in_reach(robot.state)
    assert is_in_reach(robot.state)
    assert get_up(Ways(robot, robot.send, lambda: None))
    np.testing.assert_allclose(robot.state, NEUTRAL, atol=1e-3)


@pytest.mark.parametrize("height", [-0.15, 0.08])
def test_far_out_of_reach_it_would_not_and_that_is_known_before(height):
    robot = Robot(height)
    assert not is_in_reach(robot.state)
    assert not get_up(Ways(robot, robot.send, lambda: None))


@pytest.mark.parametrize("pose", [NEUTRAL, SLEEP], ids=["neutral", "sleep"])
def test_where_a_robot_usually_is_its_legs_reach(pose):
    assert is_in_reach(pose)
