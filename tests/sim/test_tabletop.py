"""The robot on a table: what its motions do to a free base, and how near its parts come to each other."""

from dataclasses import replace

import numpy as np
import pytest

from reachy_kit.runtime.interface import BODY_YAW, NEUTRAL, PITCH, SLEEP, YAW
from reachy_kit.runtime.safety import CLASSROOM
from reachy_sim.tabletop.base_motions import axis_waves, waves
from reachy_sim.tabletop.base_reaction import carry_out, measure_load, worst_waves
from reachy_sim.tabletop.self_collision import PartDistances
from reachy_sim.tabletop.table_robots import FOOT_RADIUS, TABLE_FRICTION, TIPPING_ANGLE, TableConfig, TableRobots

UNLIMITED = replace(
    CLASSROOM, speed=np.full(9, 1e6), acceleration=np.full(9, 1e9), lead=np.full(9, 1e6), relative_yaw=np.deg2rad(64.0)
)


def one_wave(axis, period, ticks=60, share=1.0):
    shares = np.zeros((1, 9))
    shares[0, axis] = share
    return waves(shares, np.full((1, 9), period), np.zeros((1, 9)), ticks)


def test_a_robot_that_stands_still_stays_where_it_is_and_weighs_what_it_weighs():
    still = np.tile(NEUTRAL, (50, 1, 1))
    moved = carry_out(still, TableConfig(friction=0.2))
    assert moved.walked.max() < 1e-5
    assert moved.tilt.max() < 1e-4
    robots = TableRobots(1, TableConfig(held=True))
    robots.reset(NEUTRAL)
    for _ in range(25):
        robots.step(np.zeros((1, 9)) + robots._ctrl)
    np.testing.assert_allclose(robots.reactions[-1].force[0], [0, 0, 9.81 * robots.model.body_mass.sum()], atol=0.01)
    assert robots.reactions[-1].tipping[0] < 0.1


def test_a_motion_without_limits_makes_the_robot_walk_and_tilt():
    turns = carry_out(one_wave(BODY_YAW, 0.4), TableConfig(friction=0.2), UNLIMITED)
    nods = carry_out(one_wave(PITCH, 0.16), TableConfig(friction=0.2), UNLIMITED)
    assert turns.speed[0] > 0.003
    assert nods.tilt[0] > np.deg2rad(0.3)


def test_a_motion_that_would_tip_the_robot_or_make_it_walk_is_slowed():
    """The limiter is what keeps it still: without it the same requests throw it about."""
    table = TableConfig(friction=0.4)
    for axis, period in ((BODY_YAW, 0.4), (PITCH, 0.16)):
        wave = one_wave(axis, period)
        free, limited = carry_out(wave, table, UNLIMITED), carry_out(wave, table)
        assert limited.tilt[0] < 0.2 * free.tilt[0]
        assert limited.speed[0] < 0.2 * free.speed[0]
        assert limited.speed[0] < 0.15e-3


def test_on_ice_the_base_ends_where_it_began_and_on_a_table_it_does_not():
    """Angular momentum: what the turning body gives to a free base it takes back; friction keeps a part."""
    on_ice = carry_out(one_wave(BODY_YAW, 2.0, ticks=40), TableConfig(friction=0.0), UNLIMITED)
    on_table = carry_out(one_wave(BODY_YAW, 2.0, ticks=40), TableConfig(friction=0.4), UNLIMITED)
    assert abs(on_ice.turned[0]) < 1.5e-3
    assert abs(on_table.turned[0]) > 0.02


def assert_stands(names, moved):
    """Nothing tips it, and only turns of the body make it walk."""
    assert moved.tilt.max() < TIPPING_ANGLE / 100
    walkers = {name for name, speed in zip(names, moved.speed, strict=True) if speed > 0.3e-3}
    assert all(name.startswith("body_yaw") for name in walkers)
    assert moved.speed.max() < 4e-3


def test_no_axis_alone_tips_the_robot_and_only_the_body_makes_it_walk():
    names, requests = axis_waves(30, periods=(0.16,))
    assert_stands(names, carry_out(requests, TableConfig(friction=0.2)))


@pytest.mark.long
@pytest.mark.parametrize("friction", TABLE_FRICTION)
@pytest.mark.parametrize("real_torque", [False, True], ids=["simulated torque", "data sheet"])
def test_no_axis_at_any_speed_tips_the_robot_and_only_the_body_makes_it_walk(friction, real_torque):
    names, requests = axis_waves(100)
    assert_stands(names, carry_out(requests, TableConfig(friction, real_torque=real_torque)))


def test_the_reaction_of_a_turn_grows_with_its_acceleration():
    slow = replace(CLASSROOM, acceleration=CLASSROOM.acceleration / 4)
    wave = one_wave(BODY_YAW, 0.4)
    usual, gentle = measure_load(wave), measure_load(wave, profile=slow)
    assert 0.3 < usual.friction[0] < 0.6
    assert gentle.friction[0] < 0.5 * usual.friction[0]


def test_the_search_finds_the_worst_of_a_score_that_is_known():
    best, worst = worst_waves(lambda requests: np.abs(requests[..., YAW]).max(axis=0), ticks=20)
    assert best > 0.9 * (CLASSROOM.relative_yaw + CLASSROOM.high[BODY_YAW])
    assert np.abs(worst[:, YAW]).max() == pytest.approx(best)


@pytest.fixture(scope="module")
def parts():
    return PartDistances()


def test_at_neutral_the_parts_are_apart_and_asleep_the_head_touches_the_body(parts):
    assert parts.distances(NEUTRAL[None], "head and body")[0] == pytest.approx(0.022, abs=0.002)
    assert parts.distances(NEUTRAL[None], "antennas and body")[0] > 0.09
    assert parts.distances(SLEEP[None], "head and body")[0] < 0.0


def test_raising_the_head_by_a_millimetre_brings_it_a_millimetre_further_at_most(parts):
    poses = np.tile(NEUTRAL, (20, 1))
    poses[:, 2] = np.arange(20) * 0.001
    steps = np.diff(parts.distances(poses, "head and body"))
    assert (steps > 0).all()
    assert (steps < 0.001 + 1e-6).all()


def test_antennas_that_point_at_each_other_touch(parts):
    poses = np.tile(NEUTRAL, (2, 1))
    poses[:, 7:] = [[1.55, -1.55], [-1.55, 1.55]]
    inward, outward = parts.distances(poses, "antenna and antenna")
    assert inward < 0.0
    assert outward > 2 * FOOT_RADIUS
