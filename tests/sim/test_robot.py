"""SimRobot and its physics: it goes where it is told, as late and as exactly as it says, and the same every time."""

import contextlib

import mujoco
import numpy as np
import pytest

from reachy_kit.errors import WrongUseError
from reachy_kit.interface import ACTION_NAMES, ANTENNAS, BODY_YAW, NEUTRAL, PITCH, ROLL, YAW
from reachy_kit.kinematics import forward
from reachy_kit.rollout import rollout
from reachy_kit.safety import CLASSROOM, Motion, limit
from reachy_sim.model import robot_model
from reachy_sim.physics import JOINTS, Physics, joint_targets
from reachy_sim.robot import SimRobot
from reachy_sim.tasks.expert import GazeExpert
from reachy_sim.tasks.look_at import LOOK_AT
from reachy_sim.twin import GeometricPerception, Twin

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


@pytest.fixture(scope="module")
def robot():
    robot = SimRobot()
    robot.connect()
    return robot


# Going where it is told


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
    assert (off[:3] < 2 * MILLIMETRE).all()
    assert (off[3:7] < DEGREE).all()
    assert (off[ANTENNAS] < 2 * DEGREE).all()  # they sag under their own weight


@pytest.mark.parametrize("parts", POSES.values(), ids=POSES)
def test_the_kinematics_agree_with_the_physics_about_the_head(robot, parts):
    robot.reset(pose(parts))
    joints = [robot.physics.data.joint(name).qpos[0] for name in JOINTS]
    np.testing.assert_allclose(forward(joints[1:7], joints[0]), robot.physics.head_pose, atol=2e-3)


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


def test_physics_ignore_a_command_that_the_legs_cannot_reach():
    told, idle = Physics(0.0), Physics(0.0)
    for _ in range(3):
        told.step(pose({2: 0.1, BODY_YAW: 0.5}))
        idle.step(NEUTRAL)
    np.testing.assert_array_equal(told.state, idle.state)


# Delay


@pytest.mark.parametrize(("delay", "unmoved_ticks"), [(0.0, 0), (0.01, 0), (0.02, 1), (0.03, 1), (0.04, 2)])
def test_a_command_changes_nothing_before_its_delay_has_passed(delay, unmoved_ticks):
    told, idle = Physics(delay), Physics(delay)
    command = pose({BODY_YAW: 0.2})
    for tick in range(unmoved_ticks + 1):
        if tick:
            np.testing.assert_array_equal(told.state, idle.state)
        told.step(command)
        idle.step(NEUTRAL)
    assert told.state[BODY_YAW] > idle.state[BODY_YAW] + 0.01


@pytest.mark.parametrize("delay", [0.01, 0.03, 0.036])
def test_a_delay_shifts_the_response_in_time_and_changes_nothing_else(delay):
    command, step = pose({BODY_YAW: 0.2}), 0.002
    at_once, late = Physics(0.0), Physics(delay)
    response = []  # every 2 ms after the command's arrival
    at_once.data.ctrl[:] = joint_targets(command)
    for _ in range(30):
        mujoco.mj_step(at_once.model, at_once.data)
        response.append(at_once.state[BODY_YAW])
    for tick in range(1, 4):
        late.step(command)
        since = round((0.02 * tick - delay) / step)
        expected = response[since - 1] if since > 0 else 0.0
        assert late.state[BODY_YAW] == pytest.approx(expected, abs=1e-5)


def test_the_robots_delay_is_thirty_milliseconds_unless_told_otherwise(robot):
    robot.reset(NEUTRAL)
    physics = Physics(0.03)
    for _ in range(5):
        applied = robot.send_action(pose({BODY_YAW: 0.2}))
        robot.wait_next_tick()
        physics.step(applied)
        np.testing.assert_array_equal(robot.get_observation().state, physics.state)


# Repetition


def episode(robot, seed):
    """(steps, 9 + 5 + 9) state, features and applied action of every step of the expert's look_at episode."""
    twin, rows = Twin(LOOK_AT), []

    class Rows:
        def on_episode_start(self, seed): ...

        def on_step(self, step):
            seen = step.observation
            rows.append(np.concatenate([seen.state, seen.environment_state, step.action]))

        def on_episode_end(self, episode): ...

    rollout(
        robot,
        GazeExpert(25, seed=seed),
        seconds=1.5,
        policy_hz=25,
        seed=seed,
        perception=GeometricPerception(twin),
        world=twin,
        subscribers=[Rows()],
    )
    return np.array(rows)


def test_a_seed_repeats_its_episode_bit_for_bit_whatever_the_robot_did_before(robot):
    first = episode(robot, 5)
    other = episode(robot, 6)
    np.testing.assert_array_equal(episode(robot, 5), first)
    np.testing.assert_array_equal(episode(SimRobot(), 5), first)
    assert np.abs(other - first).max() > 0.01


# The model


def test_leaving_out_what_only_draws_changes_no_mass():
    light, drawn = robot_model(drawing=False), robot_model(drawing=True)
    assert light.ngeom < drawn.ngeom
    assert (light.geom_contype > 0).sum() == (drawn.geom_contype > 0).sum()
    for part in ("body_mass", "body_inertia", "body_ipos", "dof_armature"):
        np.testing.assert_array_equal(getattr(light, part), getattr(drawn, part), err_msg=part)


# Features and camera


def test_features_are_known_before_connecting():
    blind, seeing = SimRobot(), SimRobot(image_shape=(180, 320, 3))
    assert list(blind.action_features) == list(blind.observation_features) == list(ACTION_NAMES)
    assert seeing.observation_features["head"] == (180, 320, 3)


def test_a_robot_with_a_camera_shows_what_it_promised():
    with contextlib.closing(Twin(LOOK_AT)) as twin:
        robot = SimRobot(camera=twin.camera, image_shape=twin.image_shape)
        robot.connect()
        image = robot.get_observation().images["head"]
    assert image.shape == robot.observation_features["head"] == (180, 320, 3)
    assert image.dtype == np.uint8
    assert image.std() > 1


def test_a_robot_without_a_camera_gives_no_images(robot):
    assert not robot.get_observation().images
