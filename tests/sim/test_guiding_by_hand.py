"""A simulated robot that is guided by hand: an outside force moves its head, and the measured motion is the action."""

import numpy as np
import pytest

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL, PITCH, YAW
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.recording.schema import ACTION, CAPTURE_TIME, OBS_LAST_ACTION, OBS_STATE, REQUESTED_ACTION
from reachy_kit.runtime.robots.guiding.guidable import GuidanceMode
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.teleop.hand_device import HandTeleoperator
from reachy_kit.runtime.teleop.teleoperator import TakeEvent, TeleopContext, guided_take, open_teleoperator
from reachy_sim.dynamics.actuators import Actuators
from reachy_sim.robot import SimRobot, SimRobotConfig

TURNED = NEUTRAL.copy()
TURNED[[YAW, PITCH]] = 0.4, 0.15
LIMP = SimRobotConfig(gravity_compensation=False)
LOOSE = Actuators(friction=0.0)
"""Motors without dry friction."""


class Pull:
    """An expert that wants the head at a pose, after a moment."""

    def __init__(self, pose, after=0.0):
        self.pose, self.after = pose, after

    def reset(self):
        pass

    def act(self, observation):
        return self.pose if observation.capture_time >= self.after else NEUTRAL


def tick(robot, target=NEUTRAL, count=CONTROL_HZ):
    """States of the next ticks."""
    states = []
    for _ in range(count):
        robot.send_action(target)
        robot.wait_next_tick()
        states.append(robot.get_observation().state)
    return np.array(states)


def test_the_head_stays_where_a_hand_turns_it_only_while_it_is_guided():
    ends = {}
    for guided in (True, False):
        robot = SimRobot()
        if guided:
            robot.begin_guiding()
        robot.pull(TURNED)
        tick(robot)
        robot.pull(None)
        ends[guided] = tick(robot)[-1]
    np.testing.assert_allclose(ends[True][:6], TURNED[:6], atol=0.05)
    assert abs(ends[False][YAW]) < 0.1


def test_what_is_applied_while_it_is_guided_is_the_measured_pose_whatever_is_asked():
    robot = SimRobot()
    robot.begin_guiding()
    robot.pull(TURNED)
    for _ in range(30):
        measured = robot.get_observation().state
        np.testing.assert_array_equal(robot.send_action(-TURNED), measured)
        robot.wait_next_tick()


def test_it_holds_without_a_jump_where_the_hand_left_it():
    robot = SimRobot()
    robot.begin_guiding()
    robot.pull(TURNED)
    left = tick(robot)[-1]
    robot.end_guiding()
    held = tick(robot, left)
    assert robot.guidance is None
    assert np.abs(held - left).max() < 0.03
    home = tick(robot, NEUTRAL)
    assert np.abs(home[-1] - NEUTRAL).max() < 0.12, "the motors follow again"


def test_gravity_compensation_carries_the_head_and_limp_motors_let_it_sink():
    fallen = {}
    for compensated in (True, False):
        robot = SimRobot(SimRobotConfig(actuators=LOOSE, gravity_compensation=compensated))
        robot.begin_guiding()
        fallen[robot.guidance] = NEUTRAL[2] - tick(robot)[-1][2]
    assert abs(fallen[GuidanceMode.GRAVITY_COMPENSATION]) < 1e-6
    assert fallen[GuidanceMode.LIMP] > 1e-4, "the rods' own joints still rub"


def test_limp_motors_let_go_only_once_a_hand_is_felt():
    robot, modes = SimRobot(LIMP), []
    device = HandTeleoperator(CONTROL_HZ, Pull(TURNED, after=1.0))
    device.connect(robot)
    with guided_take(device):
        rollout(robot, device, seconds=2.0, policy_hz=50, on_tick=lambda tick: modes.append(robot.guidance))
    assert set(modes[:CONTROL_HZ]) == {None}
    assert modes[-1] is GuidanceMode.LIMP
    assert robot.guidance is None


def test_a_robot_without_forces_is_refused():
    with pytest.raises(WrongUseError, match="kinematic tier knows no forces"):
        HandTeleoperator(25, Pull(TURNED)).connect(SimRobot(SimRobotConfig(tier="kinematic")))


def test_a_simulated_hand_needs_a_task():
    device = open_teleoperator("hand", TeleopContext(argument="", policy_hz=25))
    with pytest.raises(WrongUseError, match="needs a task whose expert guides the hand"):
        device.connect(SimRobot())


def test_a_simulated_hand_begins_and_ends_its_takes():
    device = HandTeleoperator(25, Pull(TURNED))
    device.connect(SimRobot())
    assert list(device.events()) == [TakeEvent.START]
    device.reset()
    assert not device.events()


class Memory:
    """A sink that keeps the frames."""

    layout = DatasetLayout("task", "Do it.", (), (), 25)
    episodes = 0
    video_file = None

    def write(self, frames, labels: EpisodeLabels, video=None):
        self.frames = frames


class Featureless:
    """A perception without features."""

    names = ()

    def reset(self, seed):
        pass

    def perceive(self, observation):
        return np.zeros(0)


def test_the_actions_of_a_guided_take_are_the_motion_before_its_delay():
    robot, device, sink = SimRobot(), HandTeleoperator(25, Pull(TURNED)), Memory()
    device.connect(robot)
    recorder = EpisodeRecorder(sink)
    with guided_take(device) as recorder.motion_delay:
        rollout(robot, device, seconds=2.0, policy_hz=25, perception=Featureless(), subscribers=[recorder])
    states = np.array([frame[OBS_STATE] for frame in sink.frames])
    actions = np.array([frame[ACTION] for frame in sink.frames])
    times = np.array([frame[CAPTURE_TIME][0] for frame in sink.frames])
    late = times + 1 / 25 + robot.response
    expected = np.stack([np.interp(late, times, axis) for axis in states.T], axis=-1)
    np.testing.assert_allclose(actions, expected, atol=1e-6)
    np.testing.assert_array_equal([frame[REQUESTED_ACTION] for frame in sink.frames], actions)
    assert actions[1, YAW] > states[1, YAW] + 0.05, "the action leads the motion"
    np.testing.assert_array_equal([frame[OBS_LAST_ACTION] for frame in sink.frames], states)
