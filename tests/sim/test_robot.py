"""SimRobot: the daemon's physics behind the Robot protocol."""

import numpy as np
import pytest

from reachy_kit.errors import WrongUseError
from reachy_kit.geometry import pose_from_vector, vector_from_pose
from reachy_kit.interface import ACTION_NAMES, BODY_YAW, CAMERA, NEUTRAL, PITCH, YAW
from reachy_kit.kinematics import forward, inverse
from reachy_kit.rollout import rollout
from reachy_sim.model import robot_model
from reachy_sim.physics import JOINTS
from reachy_sim.robot import SimRobot, SimRobotConfig
from reachy_sim.tasks.expert import GazeExpert
from reachy_sim.tasks.look_at import LOOK_AT
from reachy_sim.twin import GeometricPerception, Twin


@pytest.fixture
def robot():
    made = SimRobot()
    made.connect()
    return made


def hold(robot: SimRobot, action: np.ndarray, ticks: int) -> np.ndarray:
    for _ in range(ticks):
        robot.send_action(action)
        robot.wait_next_tick()
    return robot.get_observation().state


def turned(yaw: float = 0.0, pitch: float = 0.0, body: float = 0.0) -> np.ndarray:
    action = NEUTRAL.copy()
    action[[YAW, PITCH, BODY_YAW]] = np.deg2rad([yaw, pitch, body])
    return action


def test_it_rests_at_neutral(robot):
    state = robot.get_observation().state
    np.testing.assert_allclose(state[:3], NEUTRAL[:3], atol=1e-3)
    np.testing.assert_allclose(state[3:], NEUTRAL[3:], atol=np.deg2rad(1.0))


@pytest.mark.parametrize("action", [turned(yaw=30), turned(pitch=15), turned(yaw=70, body=40), turned(-20, -10, -60)])
def test_it_goes_where_it_is_told(robot, action):
    state = hold(robot, action, 75)
    np.testing.assert_allclose(state[:3], action[:3], atol=2e-3)
    np.testing.assert_allclose(state[3:], action[3:], atol=np.deg2rad(1.5))


def test_the_legs_agree_with_our_kinematics(robot):
    hold(robot, turned(25, 10, 15), 75)
    joints = robot.physics.data.qpos[[robot.physics.model.joint(name).qposadr[0] for name in JOINTS]]
    pose = robot.physics.head_pose
    np.testing.assert_allclose(inverse(pose, joints[0]), joints[1:7], atol=5e-3)
    np.testing.assert_allclose(vector_from_pose(forward(joints[1:7], joints[0])), vector_from_pose(pose), atol=3e-3)


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.03, 0.05])
def test_a_command_moves_nothing_before_its_delay(delay):
    robot, still = SimRobot(SimRobotConfig(delay=delay)), SimRobot(SimRobotConfig(delay=delay))
    differs = []
    for _ in range(5):
        moved, unmoved = hold(robot, turned(yaw=20), 1), hold(still, NEUTRAL, 1)
        differs.append(not np.array_equal(moved, unmoved))
    arrives = int(np.floor(delay / 0.02 + 1e-9))  # the first tick in which a part of the command is in force
    assert differs == [tick >= arrives for tick in range(5)]


def test_reset_forgets_everything(robot):
    start = turned(15, 5, 10)
    robot.reset(start)
    first = hold(robot, turned(-30), 20)
    hold(robot, turned(40, 10, 30), 30)
    robot.reset(start)
    np.testing.assert_array_equal(hold(robot, turned(-30), 20), first)
    assert robot.physics.time == pytest.approx(0.4)


def test_a_start_that_the_legs_cannot_reach_is_refused(robot):
    high = NEUTRAL.copy()
    high[2] = 0.2
    with pytest.raises(WrongUseError, match="cannot reach"):
        robot.reset(high)


def test_it_returns_what_it_applied_not_what_was_asked(robot):
    asked = turned(yaw=170)
    applied = robot.send_action(asked)
    assert abs(applied[YAW]) < 0.1
    assert tuple(robot.action_features) == ACTION_NAMES


def test_leaving_out_the_drawings_changes_no_mass():
    with_drawings, without = robot_model(drawing=True), robot_model(drawing=False)
    np.testing.assert_array_equal(with_drawings.body_mass, without.body_mass)
    np.testing.assert_array_equal(with_drawings.body_inertia, without.body_inertia)
    assert without.nmesh < with_drawings.nmesh


def episode(seed: int) -> list[np.ndarray]:
    class Actions:
        def __init__(self):
            self.seen = []

        def on_episode_start(self, seed):
            pass

        def on_step(self, step):
            self.seen.append(np.concatenate([step.observation.state, step.observation.environment_state, step.action]))

        def on_episode_end(self, episode):
            pass

    twin, actions, robot = Twin(LOOK_AT), Actions(), SimRobot()
    expert = GazeExpert(25, seed=seed)
    perception = GeometricPerception(twin)
    rollout(
        robot, expert, seconds=1.0, policy_hz=25, seed=seed, perception=perception, world=twin, subscribers=[actions]
    )
    return actions.seen


def test_the_same_seed_gives_the_same_episode_bit_for_bit():
    np.testing.assert_array_equal(episode(3), episode(3))
    assert not np.array_equal(episode(3), episode(4))


def test_the_camera_is_late_and_says_so():
    twin = Twin(LOOK_AT)
    robot = SimRobot(camera=twin.camera, image_shape=twin.image_shape)
    robot.connect()
    hold(robot, NEUTRAL, 2)
    robot.get_observation()
    hold(robot, NEUTRAL, 2)
    seen = robot.get_observation()
    assert seen.images[CAMERA].shape == robot.observation_features[CAMERA] == (180, 320, 3)
    assert seen.images[CAMERA].dtype == np.uint8
    assert seen.capture_time - seen.image_times[CAMERA] == pytest.approx(0.04)
    assert pose_from_vector(seen.state).shape == (4, 4)
    twin.close()
