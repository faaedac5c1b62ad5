"""Both tiers: two engines agree, delays are exact, starts are exact, and motors respond as in the textbook."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, NEUTRAL, PITCH, YAW
from reachy_sim.dynamics.actuators import IDENTIFIED, Actuators, Motors, in_series
from reachy_sim.dynamics.joints import JOINTS, joint_targets
from reachy_sim.dynamics.physics_tier import Physics
from reachy_sim.dynamics.tiers import open_dynamics

TICK = 0.02
TIERS = ("physics", "kinematic")
REST = joint_targets(NEUTRAL)


def pose(**parts):
    nine = NEUTRAL.copy()
    places = {"yaw": YAW, "pitch": PITCH, "body": BODY_YAW, "up": 2, "right_antenna": 7}
    for name, value in parts.items():
        nine[places[name]] = value
    return nine


def standing(dynamics, actuators=None, at=NEUTRAL):
    dynamics.reset(np.arange(dynamics.num_envs), np.tile(at, (dynamics.num_envs, 1)), actuators or Actuators(delay=0.0))
    return dynamics


# Two engines, one physics


@pytest.mark.parametrize("settings_name", ["daemon", "fast"])
def test_both_engines_give_the_same_numbers(settings_name):
    count, rng = 3, np.random.default_rng(0)
    actuators = Actuators(
        delay=np.array([[0.0], [0.034], [0.08]]),
        bandwidth=np.array([[np.inf], [3.0], [np.inf]]),
        gain=np.array([[1.0], [1.0], [0.95]]),
        friction=np.array([[1.0], [2.5], [0.5]]),
    )
    both = [Physics(count, settings_name, engine=engine) for engine in ("mjbatch", "mujoco")]
    for physics in both:
        standing(physics, actuators, pose(yaw=0.2, body=0.1))
    way = np.cumsum(rng.normal(0, 0.01, (50, count, 9)) * ([0.05] * 3 + [1.0] * 6), axis=0) + pose(yaw=0.2, body=0.1)
    for tick, targets in enumerate(joint_targets(way)):
        if tick == 25:  # one environment is reset in between
            for physics in both:
                physics.reset(np.array([1]), pose(pitch=0.1)[None], Actuators(delay=0.05))
        for physics in both:
            physics.step(targets)
        batched, plain = both
        np.testing.assert_allclose(batched.state, plain.state, atol=1e-9)
        np.testing.assert_allclose(batched.head_rotation, plain.head_rotation, atol=1e-9)
    assert np.abs(batched.state[:, BODY_YAW] - 0.1).max() > 0.01


def test_an_unknown_tier_is_refused_with_a_list():
    with pytest.raises(WrongUseError, match="physics, kinematic"):
        open_dynamics("quantum", 1)


# Delay


@pytest.mark.parametrize("tier", TIERS)
def test_delays_are_resolved_to_two_milliseconds(tier):
    delays = np.arange(0.0, 0.041, 0.002)
    dynamics = standing(open_dynamics(tier, len(delays)), Actuators(delay=delays[:, None], bandwidth=np.inf))
    still = standing(open_dynamics(tier, 1), Actuators(delay=0.0))
    turned = []
    for _ in range(5):
        dynamics.step(np.tile(joint_targets(pose(body=0.2)), (len(delays), 1)))
        still.step(joint_targets(NEUTRAL)[None])
        turned.append(dynamics.state[:, BODY_YAW] - still.state[0, BODY_YAW])
    first, second, *_ = turned
    # Nothing moves before the command arrives; then a later command has moved the joint less, in steps of 2 ms.
    np.testing.assert_allclose(first[delays >= 0.02 - 1e-9], 0, atol=1e-9)
    assert (np.diff(first[delays <= 0.02 + 1e-9]) < 0).all()
    assert (np.diff(second) < 0).all()
    # One more tick of delay gives the same motion a tick later.
    for before, after in itertools.pairwise(turned):
        np.testing.assert_allclose(after[10:], before[:-10], atol=1e-5)


@pytest.mark.parametrize("tier", TIERS)
def test_every_joint_has_its_own_delay(tier):
    delay = np.full((1, 9), 0.1)
    delay[0, JOINTS.index("left_antenna")] = 0.0
    dynamics = standing(open_dynamics(tier, 1), Actuators(delay=delay))
    for _ in range(3):
        dynamics.step(joint_targets(NEUTRAL + np.array([0, 0, 0, 0, 0, 0, 0.3, 0.5, 0.5]))[None])
    right, left = dynamics.state[0, ANTENNAS] - NEUTRAL[ANTENNAS]
    assert left > 0.1
    assert abs(right) < 0.01
    assert abs(dynamics.state[0, BODY_YAW]) < 0.01


# Starting


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    "actuators",
    [
        Actuators(),
        Actuators(gain=0.9, backlash=0.03),
        Actuators(bandwidth=2.0, damping=0.5),
        Actuators(rate_limit=1.0),
        Actuators(friction=3.0, delay=0.12),
    ],
    ids=["shipped", "worn", "sluggish", "slow", "stiff and late"],
)
def test_the_start_is_exact_whatever_the_motors(tier, actuators):
    start = np.array([pose(yaw=0.8, body=0.5, pitch=-0.2), [0.005, -0.006, 0.01, 0.1, 0.1, -0.2, 0.0, 1.0, -2.0]])
    dynamics = open_dynamics(tier, 2)
    dynamics.reset(np.arange(2), start, actuators)
    np.testing.assert_allclose(dynamics.state, start, atol=1e-6)


@pytest.mark.parametrize("tier", TIERS)
def test_a_partial_reset_leaves_the_other_robots_unchanged(tier):
    disturbed, undisturbed = (standing(open_dynamics(tier, 2)) for _ in range(2))
    for tick in range(20):
        for dynamics in (disturbed, undisturbed):
            dynamics.step(np.tile(joint_targets(pose(yaw=0.3, body=0.2)), (2, 1)))
        if tick == 7:
            disturbed.reset(np.array([1]), pose(pitch=0.2)[None], Actuators(bandwidth=2.0))
    np.testing.assert_array_equal(disturbed.state[0], undisturbed.state[0])
    assert np.abs(disturbed.state[1] - undisturbed.state[1]).max() > 0.01


@pytest.mark.parametrize("tier", TIERS)
def test_a_pose_out_of_reach_is_refused_by_environment(tier):
    with pytest.raises(WrongUseError, match="start pose of environment 3"):
        open_dynamics(tier, 5).reset(np.array([1, 3]), np.array([pose(), pose(up=0.1)]), Actuators())


# Motors


def followed(actuators, targets, start=REST):
    """Positions (ticks, 9) of one robot's motors for (ticks, 9) targets."""
    motors = Motors(1)
    motors.reset(np.zeros(1, dtype=np.int64), actuators, start[None])
    return np.array([motors.step(target[None])[0].copy() for target in targets])


def step_response(bandwidth, damping, time):
    """Share of a step that a second-order system has covered after a time, s, from a textbook."""
    omega, time = 2 * np.pi * bandwidth, np.maximum(time, 0.0)
    if damping < 1:
        ringing = omega * np.sqrt(1 - damping**2)
        decay = np.exp(-damping * omega * time)
        return 1 - decay * (np.cos(ringing * time) + damping * omega / ringing * np.sin(ringing * time))
    root = np.sqrt(damping**2 - 1)
    slow, fast = omega * (damping - root), omega * (damping + root)
    return 1 - (fast * np.exp(-slow * time) - slow * np.exp(-fast * time)) / (fast - slow)


@given(bandwidth=st.floats(0.3, 20), damping=st.floats(0.1, 3), delay=st.floats(0, 0.12), height=st.floats(-1, 1))
@settings(max_examples=60)
def test_the_step_response_is_the_textbooks(bandwidth, damping, delay, height):
    assume(abs(damping - 1) > 1e-3)
    actuators = Actuators(delay=delay, bandwidth=bandwidth, damping=damping)
    positions = followed(actuators, np.tile(REST + height, (40, 1)))
    expected = REST + height * step_response(bandwidth, damping, TICK * np.arange(1, 41) - delay)[:, None]
    np.testing.assert_allclose(positions, expected, atol=1e-6)


def test_critical_damping_does_not_overshoot():
    positions = followed(Actuators(delay=0.0, bandwidth=3.0, damping=1.0), np.tile(REST + 0.5, (100, 1)))
    time = TICK * np.arange(1, 101)[:, None]
    omega = 2 * np.pi * 3.0
    np.testing.assert_allclose(positions, REST + 0.5 * (1 - np.exp(-omega * time) * (1 + omega * time)), atol=1e-9)


@given(gain=st.floats(0.5, 1.2), height=st.floats(-1, 1))
@settings(max_examples=30)
def test_the_gain_is_the_share_of_the_way_that_is_carried_out(gain, height):
    start = REST + 0.3
    positions = followed(Actuators(delay=0.02, bandwidth=5.0, gain=gain), np.tile(REST + height, (150, 1)), start)
    np.testing.assert_allclose(positions[0], start, atol=1e-12)  # within the delay: exactly at the start
    np.testing.assert_allclose(positions[-1], REST + gain * height, atol=1e-6)


@given(rate=st.floats(0.2, 5), height=st.floats(0.1, 1), bandwidth=st.floats(2, 10))
@settings(max_examples=30)
def test_no_motor_is_faster_than_its_rate_limit_and_all_arrive(rate, height, bandwidth):
    positions = followed(Actuators(delay=0.0, bandwidth=bandwidth, rate_limit=rate), np.tile(REST + height, (500, 1)))
    moved = np.diff(positions, axis=0, prepend=REST[None])
    assert (np.abs(moved) <= rate * TICK + 1e-12).all()
    np.testing.assert_allclose(positions[-1], REST + height, atol=1e-3)


@given(play=st.floats(0.001, 0.1), way=st.floats(0.2, 1), back=st.floats(0, 0.2))
@settings(max_examples=30)
def test_play_has_to_be_crossed_before_the_joint_turns_back(play, way, back):
    targets = [np.tile(REST + height, (5, 1)) for height in (way, way - back)]
    positions = followed(Actuators(delay=0.0, backlash=play), np.concatenate(targets)) - REST
    np.testing.assert_allclose(positions[4], way - play / 2, atol=1e-12)
    np.testing.assert_allclose(positions[-1], way - play / 2 - max(back - play, 0.0), atol=1e-12)


def test_a_robot_in_a_batch_moves_as_it_would_alone():
    kinds = [
        Actuators(delay=0.03),
        Actuators(delay=0.051, bandwidth=3.0),
        Actuators(gain=0.9, backlash=0.02, rate_limit=2.0),
    ]
    targets = REST + np.cumsum(np.random.default_rng(0).normal(0, 0.05, (40, 9)), axis=0)
    motors = Motors(len(kinds))
    for index, actuators in enumerate(kinds):
        motors.reset(np.array([index]), actuators, REST[None])
    together = np.array([motors.step(np.tile(target, (len(kinds), 1))).copy() for target in targets])
    for index, actuators in enumerate(kinds):
        np.testing.assert_allclose(together[:, index], followed(actuators, targets), atol=1e-12)


# In series


@given(bandwidth=st.floats(1.0, 5.0), damping=st.floats(0.8, 1.5), delay=st.floats(0.02, 0.05))
@settings(max_examples=30)
def test_motors_in_series_trail_a_slow_motion_as_wanted(bandwidth, damping, delay):
    wanted, own = (
        Actuators(delay=delay, bandwidth=bandwidth, damping=damping),
        Actuators(delay=0.0, bandwidth=7.0, damping=1.2),
    )
    before = in_series(wanted, own)
    assume(0 < float(before.delay) < 0.12)
    ramp = REST + 0.5 * TICK * np.arange(1, 151)[:, None] * np.ones(9)
    both = followed(own, followed(before, ramp))
    np.testing.assert_allclose(both[-1], followed(wanted, ramp)[-1], atol=1e-3 * 0.5)


def test_shipped_motors_need_no_actuators_before_them():
    before = in_series(Actuators(delay=0.04), IDENTIFIED)
    np.testing.assert_array_equal(before.delay, np.full(9, 0.04))
    assert np.isinf(before.bandwidth).all()


def test_nothing_makes_motors_quicker_than_they_are():
    assert np.isinf(in_series(Actuators(bandwidth=50.0), IDENTIFIED).bandwidth).all()
