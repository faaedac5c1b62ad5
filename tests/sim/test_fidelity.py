"""How closely the kinematic tier and the cheaper settings follow the daemon's own physics."""

import numpy as np
import pytest

from reachy_sim.sysid.action_replay import action_sequence, replay_simulated
from reachy_sim.sysid.fidelity import compare

SEQUENCE = action_sequence(12.0)


@pytest.fixture(scope="module")
def physics():
    return replay_simulated("physics", SEQUENCE)


def test_the_kinematic_tier_follows_physics_within_a_degree_and_a_half(physics):
    fidelity = compare(physics, replay_simulated("kinematic", SEQUENCE, tier="kinematic"))
    assert np.rad2deg(fidelity.angle_with_lag) <= 1.5
    assert fidelity.distance <= 0.002
    assert abs(fidelity.lag) <= 0.04


@pytest.mark.parametrize(("settings", "degrees"), [("fast", 0.2), ("coarse", 0.6)])
def test_cheaper_physics_stays_within_its_published_error(physics, settings, degrees):
    fidelity = compare(physics, replay_simulated(settings, SEQUENCE, physics=settings))
    assert 0 < np.rad2deg(fidelity.angle_with_lag) <= degrees


def test_a_lag_is_found_and_separated(physics):
    """The same robot with its clock 40 ms behind."""
    late = type(physics)("late", physics.times + 0.04, physics.states)
    fidelity = compare(physics, late)
    assert fidelity.lag == pytest.approx(0.04, abs=0.003)
    assert fidelity.angle < 1e-3 < fidelity.angle_with_lag
