"""SimRobot: on either tier it reaches its targets, inside its limits, and the same way every time."""

import contextlib
import time

import numpy as np
import pytest

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, ANTENNAS, BODY_YAW, CONTROL_HZ, NEUTRAL, PITCH, ROLL, YAW
from reachy_kit.runtime.robots.pacer import TickPacer
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.safety import CLASSROOM, Motion, limit
from reachy_sim.dynamics.actuators import Actuators
from reachy_sim.dynamics.model import robot_model
from reachy_sim.robot import SimRobot, SimRobotConfig
from reachy_sim.tasks import single_expert_policy, variant_by_name
from reachy_sim.world import GeometricPerception, SimWorld

MILLIMETRE, DEGREE = 1e-3, np.deg2rad(1)

POSES = {
    "nods": {PITCH: 0.3},
    "tilts": {ROLL: -0.25},
    "looks left with its body": {YAW: 0.9, BODY_YAW: 0.7},
    "looks right, body the other way": {YAW: -0.3, BODY_YAW: 0.2},
    "stretches": {2: 0.012, 0: 0.005, 1: -0.005},
    "raises one antenna": {7: -1.2},
}


def pose(parts):
    nine = NEUTRAL.copy()
    nine[list(parts)] = list(parts.values())
    return nine


def hold(robot, action, seconds):
    for _ in range(round(seconds * robot.control_hz)):
        applied = robot.send_action(action)
        robot.wait_next_tick()
    return applied


@pytest.fixture(scope="module", params=["physics", "kinematic"])
def robot(request):
    robot = SimRobot(SimRobotConfig(tier=request.param))
    robot.connect()
    return robot


# Reaching its targets


def test_a_connected_robot_stands_at_neutral(robot):
    robot.connect()
    off = np.abs(robot.get_observation().state - NEUTRAL)
    assert (off[:3] < 0.5 * MILLIMETRE).all()
    assert (off[3:] < 0.5 * DEGREE).all()


@pytest.mark.parametrize("parts", POSES.values(), ids=POSES)
def test_the_robot_reaches_a_commanded_pose(robot, parts):
    robot.reset(NEUTRAL)
    applied = hold(robot, pose(parts), 3.0)
    np.testing.assert_allclose(applied, pose(parts), atol=1e-9)
    off = np.abs(robot.get_observation().state - pose(parts))
    # The kinematic tier's play stands still at its edge, where the physics' dry friction creeps on.
    spare = 1 if robot.config.tier == "physics" else 4
    assert (off[:3] < spare * 2 * MILLIMETRE).all()
    assert (off[3:7] < spare * DEGREE).all()
    assert (off[ANTENNAS] < 2 * DEGREE).all()  # they sag under their own weight


def test_a_reset_robot_stands_still_at_the_start_pose_with_a_fresh_clock(robot):
    start = pose({YAW: 0.45, PITCH: -0.2, BODY_YAW: 0.3})
    robot.reset(start)
    first = robot.get_observation()
    hold(robot, start, 0.5)
    moved = np.abs(robot.get_observation().state - first.state)
    assert first.capture_time == 0
    assert (np.abs(first.state - start)[3:] < DEGREE).all()
    assert (moved[3:] < 0.6 * DEGREE).all()


def test_a_reset_to_where_the_legs_cannot_reach_is_wrong_use(robot):
    with pytest.raises(WrongUseError, match="legs cannot reach the start pose"):
        robot.reset(pose({2: 0.1}))


def test_time_advances_by_a_tick(robot):
    robot.reset(NEUTRAL)
    robot.wait_next_tick()
    robot.wait_next_tick()
    assert robot.get_observation().capture_time == pytest.approx(0.04)


# Limits


def test_the_robot_applies_what_the_limiter_says(robot):
    robot.reset(NEUTRAL)
    wild = pose({YAW: 9.0, 2: -1.0, 7: np.nan})
    motion = Motion.at_rest(NEUTRAL)
    for _ in range(30):
        motion, _ = limit(robot.get_observation().state, motion, wild, CLASSROOM)
        np.testing.assert_array_equal(robot.send_action(wild), motion.position)
        robot.wait_next_tick()


# Motors


@pytest.mark.parametrize("tier", ["physics", "kinematic"])
def test_the_motors_are_asked_for_at_each_reset(tier):
    offered = iter([Actuators(), Actuators(), Actuators(bandwidth=1.0)])
    robot = SimRobot(SimRobotConfig(tier=tier), actuators=lambda: next(offered))

    def turned():
        robot.reset(NEUTRAL)
        hold(robot, pose({BODY_YAW: 0.3, YAW: 0.3}), 0.3)
        return robot.get_observation().state[BODY_YAW]

    assert turned() > 1.5 * turned() > 0.05


def test_watch_is_called_after_every_tick():
    calls = []
    robot = SimRobot(SimRobotConfig(tier="kinematic"), watch=lambda state, time: calls.append((state, time)))
    hold(robot, pose({YAW: 0.2}), 0.1)
    assert [time for _, time in calls] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    np.testing.assert_array_equal(calls[-1][0], robot.get_observation().state)


# Pace


class Clock:
    """Passes only in ``sleep``, or where a test sets it."""

    def __init__(self):
        self.time = 7.0

    def now(self):
        return self.time

    def sleep(self, seconds):
        assert seconds > 0
        self.time += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def realtime(clock):
    pacer = TickPacer(CONTROL_HZ, 0.1, clock.now, clock.sleep)
    robot = SimRobot(SimRobotConfig(tier="kinematic"), realtime=True, pacer=pacer)
    clock.time += 30.0  # before the episode begins
    robot.reset(NEUTRAL)
    return robot


def test_in_real_time_a_tick_lasts_as_long_as_it_says(realtime, clock):
    start = clock.time
    for tick in range(1, 6):
        clock.time += 0.015  # what the tick's work takes
        realtime.wait_next_tick()
        assert clock.time - start == pytest.approx(tick / CONTROL_HZ)


def test_a_few_slow_ticks_are_caught_up_and_a_pause_is_not(realtime, clock):
    start = clock.time
    clock.time += 0.09
    for _ in range(6):
        realtime.wait_next_tick()
    assert clock.time - start == pytest.approx(6 / CONTROL_HZ)
    clock.time += 60.0
    realtime.wait_next_tick()
    resumed = clock.time
    realtime.wait_next_tick()
    assert clock.time - resumed == pytest.approx(1 / CONTROL_HZ)


def test_real_time_changes_no_number(realtime):
    np.testing.assert_array_equal(episode(realtime, 3), episode(SimRobot(realtime.config), 3))


def test_in_real_time_the_wall_clock_passes():
    robot = SimRobot(SimRobotConfig(tier="kinematic"), realtime=True)
    robot.reset(NEUTRAL)
    began = time.monotonic()
    for _ in range(10):
        robot.wait_next_tick()
    assert time.monotonic() - began > 0.9 * 10 / CONTROL_HZ


# Repetition


def episode(robot, seed):
    """(steps, 9 + 5 + 9) state, features and applied action of every step of the expert's look_at episode."""
    world, rows = SimWorld(variant_by_name("look_at")), []

    class Rows:
        def on_episode_start(self, seed): ...

        def on_step(self, step):
            observation = step.observation
            rows.append(np.concatenate([observation.state, observation.environment_state, step.action]))

        def on_episode_end(self, episode): ...

    rollout(
        robot,
        single_expert_policy("look_at", 25, seed),
        seconds=1.5,
        policy_hz=25,
        seed=seed,
        perception=GeometricPerception(world),
        world=world,
        subscribers=[Rows()],
    )
    return np.array(rows)


def test_a_seed_repeats_its_episode_bit_for_bit_whatever_the_robot_did_before(robot):
    first = episode(robot, 5)
    other = episode(robot, 6)
    np.testing.assert_array_equal(episode(robot, 5), first)
    np.testing.assert_array_equal(episode(SimRobot(robot.config), 5), first)
    assert np.abs(other - first).max() > 0.01


# The model


def test_leaving_out_what_only_draws_changes_no_mass():
    light, drawn = robot_model(drawing=False), robot_model(drawing=True)
    assert light.ngeom < drawn.ngeom
    assert (light.geom_contype > 0).sum() == (drawn.geom_contype > 0).sum()
    for part in ("body_mass", "body_inertia", "body_ipos", "dof_armature"):
        ours = getattr(light, part)
        np.testing.assert_array_equal(ours, getattr(drawn, part)[: len(ours)], err_msg=part)  # the ball comes last


# Features and camera


def test_features_are_known_before_connecting():
    without, with_camera = SimRobot(), SimRobot(image_shape=(180, 320, 3))
    assert list(without.action_features) == list(without.observation_features) == list(ACTION_NAMES)
    assert with_camera.observation_features["head"] == (180, 320, 3)


def test_a_robot_with_a_camera_shows_what_it_promised():
    with contextlib.closing(SimWorld(variant_by_name("look_at"))) as world:
        robot = SimRobot(camera=world.camera, image_shape=world.image_shape)
        robot.connect()
        image = robot.get_observation().images["head"]
    assert image.shape == robot.observation_features["head"] == (180, 320, 3)
    assert image.dtype == np.uint8
    assert image.std() > 1


def test_a_robot_without_a_camera_gives_no_images(robot):
    assert not robot.get_observation().images
