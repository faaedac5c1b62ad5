"""The simulator against the robot's own simulated daemon, with the same commands."""

import numpy as np

from reachy_kit.runtime.robots import daemon as daemon_module
from reachy_sim.sysid.action_replay import action_sequence, daemon_robot, replay_actions, replay_simulated
from reachy_sim.sysid.fidelity import compare


def test_the_daemon_and_the_simulator_do_the_same_within_a_degree_and_two_millimetres(daemon, monkeypatch):
    monkeypatch.setattr(daemon_module, "DEFAULT_PORT", daemon.address.port)
    sequence = action_sequence(5.0, seed=3)
    with daemon_robot() as robot:
        real = replay_actions(robot, sequence)
    apart = compare(replay_simulated("physics", sequence), real)
    assert np.rad2deg(apart.angle) <= 1.0
    assert apart.distance <= 0.002
    assert -0.02 <= apart.lag <= 0.08  # the daemon's loop adds up to two ticks
