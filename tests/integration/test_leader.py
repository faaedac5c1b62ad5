"""A robot follows another: the leader is the robot's own daemon, the follower a simulated robot."""

import numpy as np
import pytest

from reachy_kit.runtime.errors import NoRobotError, WrongUseError
from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL, YAW, EndReason
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.safety import CLASSROOM
from reachy_kit.runtime.teleop.teleoperator import TeleopContext, open_teleoperator
from reachy_sim.robot import SimRobot

LEADS_TO = 0.5


def playing(daemon):
    return daemon.get("move/running")


@pytest.fixture
def leading(daemon, until):
    """The daemon's robot looks to the left."""
    daemon.post("move/goto", {"head_pose": {"z": 0.0}, "antennas": [-0.3, 0.3], "duration": 1.0})
    until(lambda: abs(daemon.state[2]) < 0.005 and not playing(daemon), 20)
    daemon.post("move/goto", {"head_pose": {"yaw": LEADS_TO}, "antennas": [-0.3, 0.3], "duration": 0.5})
    return daemon


def open_leader(argument):
    return open_teleoperator("leader", TeleopContext(argument=argument, policy_hz=CONTROL_HZ))


@pytest.fixture
def device(leading, until):
    until(lambda: abs(leading.state[YAW] - LEADS_TO) < 0.08, 20)
    device = open_leader(str(leading.address))
    device.connect(SimRobot())
    yield device
    device.disconnect()


class Follower:
    """A rollout of a simulated robot in real time, step by step."""

    def __init__(self, device):
        self.applied, self.device = [], device
        self.robot = SimRobot(realtime=True)

    def follow(self, until_true, seconds=20.0, look=lambda tick: None):
        def stop():
            return EndReason.COMPLETED if until_true() else None

        rollout(
            self.robot, self.device, seconds=seconds, policy_hz=CONTROL_HZ, subscribers=[self], stop=stop, on_tick=look
        )

    def on_episode_start(self, seed):
        self.applied = [NEUTRAL]

    def on_step(self, step):
        self.applied.append(step.action)

    def on_episode_end(self, episode):
        pass


def test_a_robot_glides_to_its_leader_and_follows_it(leading, device):
    follower = Follower(device)
    follower.follow(lambda: abs(follower.applied[-1][YAW] - leading.state[YAW]) < 0.02 and len(follower.applied) > 60)
    assert follower.applied[-1][YAW] == pytest.approx(leading.state[YAW], abs=0.05)
    np.testing.assert_allclose(follower.applied[1], NEUTRAL, atol=0.01)
    speeds = np.abs(np.diff(follower.applied, axis=0)) * CONTROL_HZ
    assert (speeds <= CLASSROOM.speed + 1e-9).all()
    assert speeds[:, YAW].max() < 1.5 * LEADS_TO / 1.0 + 0.1, "it glides in a second"


def test_a_leader_that_vanishes_pauses_the_robot_which_glides_on_when_it_is_back(leading, device, until):
    follower = Follower(device)
    leading.process.suspend()
    try:
        follower.follow(lambda: device.lost is not None)
        assert device.lost == f"the leader {leading.address} is lost"
        held = follower.applied[-1]
    finally:
        leading.process.resume()
    until(lambda: device.lost is None)
    assert abs(held[YAW]) <= LEADS_TO + 0.1
    follower.follow(lambda: abs(follower.applied[-1][YAW] - leading.state[YAW]) < 0.05)
    assert follower.applied[-1][YAW] == pytest.approx(LEADS_TO, abs=0.12)


def test_a_leader_that_does_not_answer_is_named():
    with pytest.raises(NoRobotError, match=r"no Reachy Mini to follow answers at 127.0.0.1:9"):
        open_leader("127.0.0.1:9").connect(SimRobot())


def test_a_leader_must_be_given():
    with pytest.raises(WrongUseError, match=r"needs a robot to follow, as in --teleop leader:reachy-mini\.local"):
        open_leader("")
