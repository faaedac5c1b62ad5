"""Any policy, on a simulated robot: whatever it asks, however often, every limit holds at every tick."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import BODY_YAW, CONTROL_HZ, NEUTRAL, POLICY_RATES, YAW
from reachy_kit.runtime.kinematics import reachable
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.safety import CLASSROOM, Limited
from reachy_sim.dynamics.joints import joint_targets
from reachy_sim.robot import SimRobot, SimRobotConfig

ROUNDING = 1e-9
HARD_STOPS = Limited.REACH | Limited.LEAD | Limited.RELATIVE_YAW
BOX = [*zip(CLASSROOM.low.tolist(), CLASSROOM.high.tolist(), strict=True)]

corners = st.tuples(*(st.sampled_from([*edges, 0.0]) for edges in BOX)).map(np.array)
inside = st.tuples(*(st.floats(*edges) for edges in BOX)).map(np.array)
anything = arrays(np.float64, 9, elements=st.floats())
wrong = st.one_of(
    arrays(np.float64, st.integers(0, 20).filter(lambda size: size != 9), elements=st.floats()),
    arrays(np.float64, (9, 9)),
    st.sampled_from([np.array(None), np.array(0.3), np.array(["left"] * 9), np.zeros(9, dtype=complex)]),
)
requests = st.one_of(corners, inside, anything)


class Scripted:
    """A policy that repeats a list of actions."""

    def __init__(self, actions):
        self.actions, self.decisions = actions, 0

    def reset(self):
        self.decisions = 0

    def act(self, observation):
        self.decisions += 1
        return self.actions[self.decisions % len(self.actions)]


class WatchedRobot(SimRobot):
    """Checks the applied action at every tick."""

    def __init__(self):
        self.applied, self.velocity, self.checked = NEUTRAL, np.zeros(9), 0
        super().__init__(SimRobotConfig(tier="kinematic"), watch=lambda state, time: self.check())

    def reset(self, pose):
        super().reset(pose)
        self.applied = self.now = pose.copy()
        self.velocity, self.hard = np.zeros(9), False

    def send_action(self, action):
        self.now = super().send_action(action)
        self.hard = bool(self.limited & HARD_STOPS)
        return self.now

    def check(self):
        before, self.applied = self.applied, self.now
        velocity = (self.applied - before) * CONTROL_HZ
        change, self.velocity = np.abs(velocity - self.velocity), velocity
        assert np.isfinite(self.applied).all()
        assert (self.applied >= CLASSROOM.low - ROUNDING).all()
        assert (self.applied <= CLASSROOM.high + ROUNDING).all()
        assert abs(self.applied[YAW] - self.applied[BODY_YAW]) <= CLASSROOM.relative_yaw + ROUNDING
        assert reachable(pose_from_vector(self.applied), self.applied[BODY_YAW])
        assert (np.abs(velocity) <= CLASSROOM.speed + ROUNDING).all()
        assert self.hard or (change <= CLASSROOM.acceleration / CONTROL_HZ + ROUNDING).all()
        self.checked += 1


class AnyPolicy(RuleBasedStateMachine):
    """Segments of any behaviour, one after the other on the same robot."""

    ticks = 0

    def __init__(self):
        super().__init__()
        self.robot = WatchedRobot()

    @rule(request=requests, ticks=st.integers(1, 60))
    def ask_for(self, request, ticks):
        for _ in range(ticks):
            self.robot.send_action(request)
            self.robot.wait_next_tick()

    @rule(first=requests, second=requests, ticks=st.integers(2, 60), period=st.integers(1, 10))
    def jump_to_and_fro(self, first, second, ticks, period):
        for tick in range(ticks):
            self.robot.send_action((first, second)[tick // period % 2])
            self.robot.wait_next_tick()

    @rule(requests=st.lists(requests, min_size=1, max_size=4), ticks=st.integers(1, 2))
    def ask_at_ten_kilohertz(self, requests, ticks):
        for _ in range(ticks):
            for index in range(10_000 // CONTROL_HZ):
                self.robot.send_action(requests[index % len(requests)])
            self.robot.wait_next_tick()

    @rule(request=wrong)
    def ask_for_something_that_is_not_nine_numbers(self, request):
        applied = self.robot.now
        with pytest.raises(KitError):
            self.robot.send_action(request)
        assert self.robot.now is applied

    @rule(ticks=st.integers(1, 200))
    def be_silent(self, ticks):
        self.robot.hard = True  # the last command stays: it stops at once
        for _ in range(ticks):
            self.robot.wait_next_tick()

    @rule(actions=st.lists(inside, min_size=1, max_size=5), rate=st.sampled_from(POLICY_RATES))
    def run_a_policy(self, actions, rate):
        rollout(self.robot, Scripted(actions), seconds=1.0, policy_hz=rate, start=self.robot.applied.copy())

    @invariant()
    def the_robot_is_commanded_what_was_checked(self):
        assert np.isfinite(joint_targets(self.robot.applied)).all()

    def teardown(self):
        AnyPolicy.ticks += self.robot.checked


def storm(examples, steps):
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


def test_every_limit_holds_whatever_a_policy_asks():
    AnyPolicy.ticks = 0
    machine = type("Few", (AnyPolicy,), {})
    machine.TestCase.settings = storm(5, 10)
    machine.TestCase("runTest").runTest()
    assert AnyPolicy.ticks > 800


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_limit_holds_for_a_hundred_thousand_ticks():
    AnyPolicy.ticks = 0
    machine = type("Many", (AnyPolicy,), {})
    machine.TestCase.settings = storm(200, 50)
    machine.TestCase("runTest").runTest()
    assert AnyPolicy.ticks >= 100_000
