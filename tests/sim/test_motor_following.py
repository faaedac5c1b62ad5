"""No motor is reported that follows: every task in physics, slow motors, jumps; limp ones are."""

import numpy as np
import pytest

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL
from reachy_kit.runtime.kinematics import inverse_of_vector
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.safety import CLASSROOM, Motion
from reachy_kit.runtime.tasks.task_registry import own_task_names
from reachy_kit.runtime.watchdogs.motor_following import MOTORS, MotorFollowing, commanded_joints
from reachy_sim.robot import SimRobot
from reachy_sim.tasks import single_expert_policy, variant_by_name
from reachy_sim.world import GeometricPerception, SimWorld


def joints(pose):
    """(9,) rad of the motors at a pose: the legs of a whole robot are where its head is."""
    return commanded_joints(Motion.at_rest(pose))


class Watched:
    """Checks a simulated robot's motors at each tick of a rollout."""

    def __init__(self, robot):
        self.robot, self.ticks = robot, 0
        self.following = MotorFollowing("robot", refuse)

    def on_tick(self, tick):
        if tick.index == 0:
            self.following.restart()
        self.ticks += 1
        self.following.check(Motion.at_rest(tick.action), joints(self.robot.get_observation().state), self.ticks)


@pytest.mark.parametrize("task", own_task_names())
@pytest.mark.parametrize("episodes", [2, pytest.param(40, marks=pytest.mark.long)])
def test_no_motor_is_reported_while_a_task_runs_with_motors_of_every_kind(task, episodes):
    variant = variant_by_name(task, "training")
    world = SimWorld(variant)
    robot = SimRobot(actuators=world.actuators, watch=world.append_pose)
    watched = Watched(robot)
    for seed in range(episodes):
        expert = single_expert_policy(task, 25, seed)
        rollout(
            robot,
            expert,
            seconds=variant.task.seconds,
            policy_hz=25,
            seed=seed,
            world=world,
            perception=GeometricPerception(world),
            on_tick=watched.on_tick,
        )
    assert watched.ticks >= episodes * variant.task.seconds * CONTROL_HZ - 1


@pytest.mark.parametrize("minutes", [0.5, pytest.param(10, marks=pytest.mark.long)])
def test_no_motor_is_reported_while_the_head_jumps_about(minutes):
    rng, robot = np.random.default_rng(7), SimRobot()
    watched = Watched(robot)

    class Jumps:
        def reset(self):
            self.left = 0

        def act(self, observation):
            if self.left == 0:
                self.left = rng.integers(1, 30)
                # At the corners of the workspace the head touches the body: there a motor really does not follow.
                self.goal = 0.6 * rng.uniform(CLASSROOM.low, CLASSROOM.high)
            self.left -= 1
            return self.goal

    rollout(robot, Jumps(), seconds=60 * minutes, policy_hz=25, on_tick=watched.on_tick)
    assert watched.ticks == 60 * minutes * CONTROL_HZ


def refuse(note):
    """What a test does with a note that an antenna does not follow."""
    raise RefusedError(note.removeprefix("warning: "))


@pytest.mark.parametrize("motor", [0, 7, 8], ids=lambda motor: MOTORS[motor])
def test_a_motor_that_stands_still_is_named_within_half_a_second_of_being_commanded_three_degrees(motor):
    stuck = joints(NEUTRAL)[motor]
    following = MotorFollowing("robot", refuse)
    since = None
    with pytest.raises(RefusedError, match=f"^{MOTORS[motor]} of robot does not follow"):
        for tick in range(1, 500):
            away = 0.3 * np.sin(max(tick - 30, 0) / CONTROL_HZ)
            pose = NEUTRAL + away * np.array([0, 0, 0, 0.2, 0.2, 1, 1, 1, 1])
            command = joints(pose)
            if since is None and abs(command[motor] - stuck) > np.deg2rad(3.0):
                since = tick
            measured = command.copy()
            measured[motor] = stuck
            following.check(Motion.at_rest(pose), measured, tick)
    assert tick - since < 0.5 * CONTROL_HZ


def test_an_antenna_that_a_hand_holds_is_named_once_and_the_robot_drives_on():
    notes = []
    following = MotorFollowing("robot", notes.append)
    for tick in range(1, 500):
        pose = NEUTRAL + np.sin(2 * tick / CONTROL_HZ) * np.array([0, 0, 0, 0, 0, 0.3, 0.3, 0.3, 0.3])
        measured = joints(pose)
        measured[7] = joints(NEUTRAL)[7]
        following.check(Motion.at_rest(pose), measured, tick)
    assert len(notes) == 1
    assert notes[0].startswith("warning: right_antenna of robot does not follow")


def test_commands_that_reach_the_robot_late_are_not_two_limp_antennas():
    poses = []
    following = MotorFollowing("robot", refuse)
    for tick in range(1, 150):
        way = np.clip(tick / CONTROL_HZ - 1.0, 0.0, 0.7)
        poses.append(NEUTRAL + 4.0 * way * np.array([0, 0, 0, 0, 0, 0, 0, 1, -1]))
        following.check(Motion.at_rest(poses[-1]), joints(poses[max(0, tick - 25)]), tick)


def test_the_whole_head_held_by_a_hand_is_not_a_limp_motor():
    following = MotorFollowing("robot")
    for tick in range(1, 200):
        pose = NEUTRAL + 0.3 * np.sin(tick / CONTROL_HZ) * np.array([0, 0, 0, 0, 0.5, 1, 0, 0, 0])
        following.check(Motion.at_rest(pose), joints(NEUTRAL), tick)


def test_a_pause_of_the_measurements_is_not_a_motor_that_does_not_follow():
    following = MotorFollowing("robot")
    for tick in range(1, 200):
        way = 0.005 * np.array([0, 0, 0, 0, 0, 1, 1, 1, 1])
        following.check(Motion.at_rest(NEUTRAL + tick * way), joints(NEUTRAL + min(tick, 50) * way), min(tick, 50))


def test_a_joint_sags_under_the_head_without_a_report():
    """A motor holds against the weight only by an error of some degrees; it follows all the same."""
    following = MotorFollowing("robot")
    for tick in range(1, 2000):
        pose = NEUTRAL + 0.25 * np.sin(3 * tick / CONTROL_HZ) * np.array([0, 0, 0, 0.5, 1, 1, 1, 1, 1])
        sag = np.deg2rad(4.0) * (1 + 0.2 * np.sin(tick / 300)) * np.array([0, 1, -1, 1, -1, 1, -1, 0, 0])
        assert np.isfinite(inverse_of_vector(pose)).all()
        following.check(Motion.at_rest(pose), joints(pose) + sag, tick)
