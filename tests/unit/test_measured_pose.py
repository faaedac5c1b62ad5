"""The measured pose where the daemon has lost the head: numbers, whatever the motors' angles say."""

from types import SimpleNamespace

import numpy as np
import pytest

from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.robots.link.measured_pose import measured_pose
from reachy_kit.runtime.robots.link.resting_ways import is_in_reach

LOST = np.array([0.0, 0.0, -0.14, 0.0, 0.1, 0.2])


def sdk_with(legs):
    """The SDK's robot whose daemon takes the head for its mirror image."""
    return SimpleNamespace(
        get_current_joint_positions=lambda: ([0.1, *legs], [-0.2, 0.2]),
        get_current_head_pose=lambda: pose_from_vector(LOST),
    )


def test_the_motors_say_where_the_head_is():
    assert measured_pose(sdk_with(np.zeros(6)))[2] == pytest.approx(-0.027, abs=1e-3)


def test_angles_that_fit_no_pose_leave_the_daemons_which_is_out_of_reach():
    state = measured_pose(sdk_with(np.full(6, 1.0)))
    np.testing.assert_allclose(state, [*LOST, 0.1, -0.2, 0.2], atol=1e-9)
    assert not is_in_reach(state)


def test_a_head_that_looks_further_than_half_a_turn_stays_by_its_body():
    """Otherwise it counts as a whole turn away from its command: as moved by another program."""
    head = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 3.3])
    sdk = SimpleNamespace(
        get_current_joint_positions=lambda: ([2.7, *np.zeros(6)], [-0.2, 0.2]),
        get_current_head_pose=lambda: pose_from_vector(head),
    )
    np.testing.assert_allclose(measured_pose(sdk), [*head, 2.7, -0.2, 0.2], atol=1e-9)
