"""The limiter: every command is safe, whatever the request; and a safe request is reached in the end."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, CONTROL_HZ, NEUTRAL, YAW
from reachy_kit.runtime.kinematics import STEWART_LIMITS, forward, inverse, inverse_of_vector, reach, reachable
from reachy_kit.runtime.safety import CLASSROOM, Limited, Motion, limit

ROUNDING = 1e-12
AT_REST = Motion.at_rest(NEUTRAL)
UNHURRIED = replace(CLASSROOM, speed=np.full(9, 1e6), acceleration=np.full(9, 1e9), lead=np.full(9, 1e6))
"""Limits without dynamics: a tick goes all the way to where the limiter lets a request go."""


def is_reachable(position):
    return reachable(pose_from_vector(position), position[..., BODY_YAW])


def flagged(flags, flag):
    return (flags & int(flag)) > 0


def random_requests(rng, count):
    """(count, 9) around the body, from a tenth of the box to far out of it, a fifth of the axes right at its edge."""
    box = CLASSROOM.high * rng.choice([0.1, 0.5, 1.0, 3.0, 1e3], (count, 1))
    request = rng.uniform(-box, box)
    request[:, YAW] = request[:, BODY_YAW] + rng.uniform(-1.5, 1.5, count)
    at_edge = rng.random(request.shape) < 0.2
    return np.where(at_edge, np.sign(request) * CLASSROOM.high, request)


def random_goals(rng, count):
    """(about a third of count, 9) requests that need no limiting: in the box, in reach, the head near the body."""
    goal = rng.uniform(CLASSROOM.low, CLASSROOM.high, (count, 9))
    relative = rng.uniform(-CLASSROOM.relative_yaw, CLASSROOM.relative_yaw, count)
    goal[:, YAW] = goal[:, BODY_YAW] + relative
    return goal[is_reachable(goal) & (np.abs(goal[:, YAW]) <= CLASSROOM.high[YAW])]


def go(start, goal, ticks):
    """Positions (ticks + 1, ..., 9) and flags (ticks, ...) on the way to a steady request, the robot close behind."""
    motion, flags, way = Motion.at_rest(start), [], [start]
    for _ in range(ticks):
        motion, flag = limit(motion.position, motion, goal)
        way.append(motion.position)
        flags.append(flag)
    return np.array(way), np.array(flags)


class Storm:
    """200 robots from neutral under 200 ticks of wild requests; a hand holds every tenth, the others lag behind."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        robots, ticks = 200, 200
        neutral = np.tile(NEUTRAL, (robots, 1))
        motion, state, request = Motion.at_rest(neutral), neutral.copy(), neutral
        held = np.arange(robots) % 10 == 0
        self.requests, self.states, self.flags, self.motions = [], [], [], [motion]
        for _ in range(ticks):
            renewed = rng.random(robots) < 0.1
            request = np.where(renewed[:, None], random_requests(rng, robots), request)
            mad = rng.random(request.shape) < 0.002
            asked = np.where(mad, rng.choice([np.nan, np.inf, -np.inf, 1e308, -1e308], request.shape), request)
            motion, flags = limit(state, motion, asked)
            self.requests.append(asked)
            self.states.append(state)
            self.flags.append(flags)
            self.motions.append(motion)
            state = np.where(held[:, None], state, state + 0.3 * (motion.position - state))
        self.requests, self.states, self.flags = map(np.array, (self.requests, self.states, self.flags))
        self.positions = np.array([motion.position for motion in self.motions])


@pytest.fixture(scope="module", params=[0, 1])
def storm(request):
    return Storm(request.param)


# Whatever is asked for


def test_the_storm_meets_every_limit(storm):
    for flag in Limited:
        assert flagged(storm.flags, flag).mean() > 0.001, flag.name
    assert (storm.flags == 0).mean() > 0.01


def test_the_command_never_leaves_the_workspace_box(storm):
    assert (storm.positions >= CLASSROOM.low - ROUNDING).all()
    assert (storm.positions <= CLASSROOM.high + ROUNDING).all()


def test_head_and_body_never_part_by_more_than_sixty_degrees(storm):
    assert np.abs(storm.positions[..., YAW] - storm.positions[..., BODY_YAW]).max() <= np.deg2rad(60) + 1e-9


def test_the_legs_reach_every_command(storm):
    assert is_reachable(storm.positions).all()


def test_what_passes_without_asking_the_legs_keeps_two_degrees_from_every_limit():
    rng = np.random.default_rng(3)
    way = rng.normal(size=(300_000, 6)) * rng.choice([0.05, 1.0], (300_000, 6))  # along the axes too
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    way[::3] *= rng.random((100_000, 1))  # inside; the others on the surface
    pose = np.zeros((len(way), 9))
    pose[:, :6] = reach.EASY_CENTRE + reach.EASY_RADII * way
    pose[:, BODY_YAW] = rng.uniform(-2.7, 2.7, len(way))
    pose[:, YAW] += pose[:, BODY_YAW]
    turned = pose[:, BODY_YAW]
    about = pose[:, :2].copy()
    pose[:, 0] = np.cos(turned) * about[:, 0] - np.sin(turned) * about[:, 1]
    pose[:, 1] = np.sin(turned) * about[:, 0] + np.cos(turned) * about[:, 1]
    legs = inverse_of_vector(pose)
    low, high = STEWART_LIMITS.T
    assert np.minimum(legs - low, high - legs).min() > np.deg2rad(2.0)


def test_no_tick_moves_faster_than_the_profile(storm):
    assert (np.abs(np.diff(storm.positions, axis=0)) <= CLASSROOM.speed / CONTROL_HZ + ROUNDING).all()


def test_velocity_changes_no_faster_than_the_profile_unless_something_demands_a_hard_stop(storm):
    velocity = np.array([motion.velocity for motion in storm.motions])
    hard = flagged(storm.flags, Limited.REACH | Limited.LEAD | Limited.RELATIVE_YAW)
    change = np.abs(np.diff(velocity, axis=0))[~hard]
    assert (change <= CLASSROOM.acceleration / CONTROL_HZ + 1e-9).all()


def test_the_motion_carries_the_velocity_it_moves_with(storm):
    velocity = np.array([motion.velocity for motion in storm.motions[1:]])
    np.testing.assert_allclose(velocity, np.diff(storm.positions, axis=0) * CONTROL_HZ, atol=1e-9)


def test_the_command_never_runs_further_ahead_of_the_robot_than_the_lead(storm):
    before, after = storm.positions[:-1], storm.positions[1:]
    ahead = np.maximum(np.abs(before - storm.states), CLASSROOM.lead)  # where it already is it may stay
    assert (np.abs(after - storm.states) <= ahead + ROUNDING).all()


@given(arrays(np.float64, 9, elements=st.floats()))
def test_any_nine_floats_give_a_safe_command(asked):
    motion, flags = limit(NEUTRAL, AT_REST, asked)
    assert is_reachable(motion.position)
    assert (np.abs(motion.position - NEUTRAL) <= CLASSROOM.speed / CONTROL_HZ).all()
    assert flagged(flags, Limited.NOT_A_NUMBER) == (not np.isfinite(asked).all())


@given(arrays(np.float64, 9, elements=st.floats()), st.integers(0, 8))
def test_a_nan_measurement_holds_its_axis(state, axis):
    state[axis] = np.nan
    request = NEUTRAL.copy()
    request[[YAW, BODY_YAW, 7, 8]] += 0.3
    motion, _ = limit(state, AT_REST, request)
    assert np.isfinite(motion.position).all()
    assert motion.position[axis] == NEUTRAL[axis]


def test_no_request_ends_beyond_the_platforms_singularity():
    rng = np.random.default_rng(0)
    request = random_requests(rng, 20_000)
    edges = np.sign(request) * CLASSROOM.high
    request[:, :BODY_YAW] = np.where(rng.random((20_000, 6)) < 0.6, edges[:, :BODY_YAW], request[:, :BODY_YAW])
    request[:, YAW] = request[:, BODY_YAW] + rng.uniform(-1.2, 1.2, 20_000)
    neutral = np.tile(NEUTRAL, (20_000, 1))
    position = limit(neutral, Motion.at_rest(neutral), request, UNHURRIED)[0].position
    pose, body_yaw = pose_from_vector(position), position[:, BODY_YAW]
    np.testing.assert_allclose(forward(inverse(pose, body_yaw), body_yaw), pose, rtol=0, atol=1e-6)


def test_a_measured_yaw_beyond_half_a_turn_is_the_same_yaw():
    """Body and head together turn to 205°; a measured yaw ends at ±180°."""
    commanded = NEUTRAL.copy()
    commanded[[YAW, BODY_YAW]] = 3.3, 2.7
    measured = commanded.copy()
    measured[YAW] -= 2 * np.pi
    request = commanded.copy()
    request[YAW] = 3.4
    motion, flags = limit(measured, Motion.at_rest(commanded), request)
    expected, _ = limit(commanded, Motion.at_rest(commanded), request)
    np.testing.assert_array_equal(motion.position, expected.position)
    assert not flagged(flags, Limited.LEAD)
    held = commanded - 2 * np.pi * (np.arange(9) == YAW)
    motion = Motion.at_rest(commanded)
    for _ in range(100):
        motion, flags = limit(held, motion, NEUTRAL)
    assert motion.position[YAW] == pytest.approx(commanded[YAW] - CLASSROOM.lead[YAW])
    assert flagged(flags, Limited.LEAD)


# What is safe to ask for


def test_a_request_that_needs_no_limiting_is_reached_exactly_from_anywhere():
    goals = random_goals(np.random.default_rng(2), 1_500)
    half = len(goals) // 2
    way, flags = go(goals[:half], goals[half : 2 * half], 600)  # 12 s; 99 % are there after 4
    assert half > 200
    np.testing.assert_allclose(way[-1], goals[half : 2 * half], rtol=0, atol=ROUNDING)
    assert (flags[-1] == 0).all()


def test_a_request_out_of_reach_is_approached_until_nothing_moves():
    request = random_requests(np.random.default_rng(3), 150)
    neutral = np.tile(NEUTRAL, (150, 1))
    best = limit(neutral, Motion.at_rest(neutral), request, UNHURRIED)[0].position  # in one unhurried tick
    way, _ = go(neutral, request, 400)
    np.testing.assert_allclose(way[-1], best, rtol=0, atol=1e-6)


def test_the_way_to_a_request_does_not_overshoot():
    goals = random_goals(np.random.default_rng(4), 1_000)
    way, flags = go(np.tile(NEUTRAL, (len(goals), 1)), goals, 250)
    free = ~flagged(flags, Limited.REACH | Limited.RELATIVE_YAW).any(axis=0)
    assert free.sum() > 100
    beyond = (way - goals) * np.sign(goals - NEUTRAL)
    assert beyond[:, free].max() <= ROUNDING


def test_antennas_move_while_the_legs_are_at_the_end_of_their_reach():
    request = np.array([0.015, 0.015, 0.03, 0.3, 0.5, 0.0, 0.0, 1.0, -1.0])
    assert not is_reachable(request)
    way, _ = go(NEUTRAL, request, 200)
    np.testing.assert_allclose(way[-1, ANTENNAS], [1.0, -1.0], atol=ROUNDING)


def test_antennas_go_their_way_whatever_head_and_body_are_asked_to_do(storm):
    for tick in range(0, 200, 20):
        state, previous, request = storm.states[tick].copy(), storm.motions[tick], storm.requests[tick].copy()
        quiet = Motion(previous.position.copy(), previous.velocity.copy())
        for part, rest in (
            (state, NEUTRAL),
            (quiet.position, NEUTRAL),
            (quiet.velocity, np.zeros(9)),
            (request, NEUTRAL),
        ):
            part[:, : ANTENNAS.start] = rest[: ANTENNAS.start]
        single = limit(state, quiet, request)[0].position
        np.testing.assert_array_equal(single[:, ANTENNAS], storm.positions[tick + 1][:, ANTENNAS])


def test_a_hand_that_holds_the_head_is_not_resisted_and_the_robot_continues_when_it_lets_go():
    request = NEUTRAL.copy()
    request[[YAW, BODY_YAW]] = 1.5
    motion, flags = AT_REST, 0
    for _ in range(100):
        motion, flags = limit(NEUTRAL, motion, request)
    np.testing.assert_allclose(motion.position[[YAW, BODY_YAW]], CLASSROOM.lead[[YAW, BODY_YAW]])
    assert flagged(flags, Limited.LEAD)
    for _ in range(100):
        motion, flags = limit(motion.position, motion, request)
    np.testing.assert_allclose(motion.position, request, atol=ROUNDING)


def test_not_a_number_keeps_the_axis_where_it_is_commanded():
    commanded = NEUTRAL.copy()
    commanded[YAW] = 0.2
    request = NEUTRAL.copy()
    request[[YAW, BODY_YAW]] = np.nan, 0.01
    motion, flags = limit(commanded, Motion.at_rest(commanded), request)
    assert motion.position[YAW] == 0.2
    assert 0 < motion.position[BODY_YAW] <= 0.01
    assert flagged(flags, Limited.NOT_A_NUMBER)


# Flags


def test_flags_are_zero_exactly_where_the_request_passed_unchanged(storm):
    applied = storm.positions[1:]
    unchanged = (np.abs(applied - storm.requests) <= 1e-9).all(axis=-1)  # False for NaN
    np.testing.assert_array_equal(storm.flags == 0, unchanged)


def test_flags_name_the_limit(storm):
    finite = np.isfinite(storm.requests)
    np.testing.assert_array_equal(flagged(storm.flags, Limited.NOT_A_NUMBER), ~finite.all(axis=-1))
    sane = finite.all(axis=-1)
    outside = ((storm.requests < CLASSROOM.low) | (storm.requests > CLASSROOM.high)).any(axis=-1)
    np.testing.assert_array_equal(flagged(storm.flags, Limited.WORKSPACE)[sane], outside[sane])


@pytest.mark.parametrize(
    ("axis", "value", "flag"),
    [
        (2, 0.05, Limited.WORKSPACE),
        (YAW, 1.2, Limited.RELATIVE_YAW),
        (2, 0.0299, Limited.REACH),
        (YAW, 0.5, Limited.SPEED),
        (YAW, 0.03, Limited.ACCELERATION),
    ],
    ids=lambda value: value.name if isinstance(value, Limited) else None,
)
def test_a_limit_that_bites_is_named(axis, value, flag):
    request = NEUTRAL.copy()
    request[axis] = value
    _, flags = limit(NEUTRAL, AT_REST, request)
    assert flag in Limited(int(flags))


# Batches


def test_a_batch_gives_bit_for_bit_what_one_by_one_gives(storm):
    for tick in range(0, 200, 40):
        state, previous, request = storm.states[tick], storm.motions[tick], storm.requests[tick]
        together, flags = limit(state, previous, request)
        for row in range(0, 200, 7):
            single, flag = limit(state[row], Motion(previous.position[row], previous.velocity[row]), request[row])
            np.testing.assert_array_equal(single.position, together.position[row])
            np.testing.assert_array_equal(single.velocity, together.velocity[row])
            assert flag == flags[row]


def test_leading_axes_of_any_shape_go_through(storm):
    state, previous, request = storm.states[50], storm.motions[50], storm.requests[50]
    square = Motion(*(part.reshape(10, 20, 9) for part in (previous.position, previous.velocity)))
    motion, flags = limit(state.reshape(10, 20, 9), square, request.reshape(10, 20, 9))
    np.testing.assert_array_equal(motion.position.reshape(200, 9), storm.positions[51])
    np.testing.assert_array_equal(flags.reshape(200), storm.flags[50])


def test_the_limiter_leaves_its_arguments_alone(storm):
    arguments = storm.states[50], storm.motions[50].position, storm.motions[50].velocity, storm.requests[50]
    before = [part.copy() for part in arguments]
    limit(arguments[0], Motion(arguments[1], arguments[2]), arguments[3])
    for kept, now in zip(before, arguments, strict=True):
        np.testing.assert_array_equal(kept, now)
