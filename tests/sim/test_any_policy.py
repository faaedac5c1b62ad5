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
from reachy_kit.runtime.safety import CLASSROOM, Limited, Motion, limit
from reachy_sim.dynamics.actuators import Actuators
from reachy_sim.dynamics.joints import commanded_joints, joint_targets
from reachy_sim.dynamics.physics_tier import Physics
from reachy_sim.dynamics.tiers import open_dynamics
from reachy_sim.robot import SimRobot, SimRobotConfig
from reachy_sim.tabletop.base_motions import random_requests

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
        self.applied, self.velocity, self.change, self.checked = NEUTRAL, np.zeros(9), np.zeros(9), 0
        super().__init__(SimRobotConfig(tier="kinematic"), watch=lambda state, time: self.check())

    def reset(self, pose):
        super().reset(pose)
        self.applied = self.now = pose.copy()
        self.velocity, self.change = np.zeros(9), np.zeros(9)
        self.hard = self.was_hard = False

    def send_action(self, action):
        self.now = super().send_action(action)
        self.hard = bool(self.limited & HARD_STOPS)
        return self.now

    def check(self):
        before, self.applied = self.applied, self.now
        velocity = (self.applied - before) * CONTROL_HZ
        change, self.velocity = velocity - self.velocity, velocity
        jerk, self.change = np.abs(change - self.change) * CONTROL_HZ**2, change
        assert np.isfinite(self.applied).all()
        assert (self.applied >= CLASSROOM.low - ROUNDING).all()
        assert (self.applied <= CLASSROOM.high + ROUNDING).all()
        assert abs(self.applied[YAW] - self.applied[BODY_YAW]) <= CLASSROOM.relative_yaw + ROUNDING
        assert reachable(pose_from_vector(self.applied), self.applied[BODY_YAW])
        assert (np.abs(velocity) <= CLASSROOM.speed + ROUNDING).all()
        assert self.hard or (np.abs(change) * CONTROL_HZ <= CLASSROOM.acceleration + ROUNDING * CONTROL_HZ).all()
        assert self.hard or self.was_hard or (jerk <= 2 * CLASSROOM.acceleration * CONTROL_HZ + 1e-4).all()
        self.was_hard = self.hard
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


class Crowd:
    """Robots of the kinematic tier under requests that a seed draws; every limit is checked at every tick of each."""

    def __init__(self, robots):
        self.motion, self.ticks = Motion.at_rest(np.tile(NEUTRAL, (robots, 1))), 0
        self.dynamics = open_dynamics("kinematic", robots)
        self.dynamics.reset(np.arange(robots), self.motion.position, Actuators())

    def requests(self, rng):
        """(N, 9): jumps inside and far outside the box, edges, and some numbers that are none."""
        robots = len(self.motion.position)
        request = rng.uniform(-1, 1, (robots, 9)) * CLASSROOM.high * rng.choice([0.3, 1.0, 3.0, 1e6], (robots, 1))
        request = np.where(rng.random(request.shape) < 0.3, np.sign(request) * CLASSROOM.high, request)
        broken = rng.choice([np.nan, np.inf, -np.inf, 1e308], request.shape)
        return np.where(rng.random(request.shape) < 0.02, broken, request)

    def tick(self, asked):
        """One tick, in which several (N, 9) requests replace each other."""
        before = self.motion
        for request in asked:
            self.motion, flags = limit(self.dynamics.state, before, request)
        if not asked:
            self.motion, flags = Motion.at_rest(before.position), np.full(len(before.position), int(HARD_STOPS))
        self.check(before, flags)
        self.dynamics.step(commanded_joints(self.motion))
        self.ticks += len(flags)

    def check(self, before, flags):
        position, velocity = self.motion.position, self.motion.velocity
        assert np.isfinite(position).all()
        assert (position >= CLASSROOM.low - ROUNDING).all()
        assert (position <= CLASSROOM.high + ROUNDING).all()
        assert (np.abs(position[:, YAW] - position[:, BODY_YAW]) <= CLASSROOM.relative_yaw + ROUNDING).all()
        assert reachable(pose_from_vector(position), position[:, BODY_YAW]).all()
        assert (np.abs(position - before.position) <= CLASSROOM.speed / CONTROL_HZ + ROUNDING).all()
        free = (flags & int(HARD_STOPS)) == 0
        change = np.abs(velocity - before.velocity)[free]
        assert (change <= CLASSROOM.acceleration / CONTROL_HZ + ROUNDING).all()


class AnyCrowd(RuleBasedStateMachine):
    """Segments of any behaviour of many robots."""

    ticks = 0

    def __init__(self):
        super().__init__()
        self.crowd = Crowd(50)

    @rule(seed=st.integers(0, 2**32), ticks=st.integers(1, 40), renewed=st.floats(0.0, 1.0), often=st.integers(1, 3))
    def ask(self, seed, ticks, renewed, often):
        rng = np.random.default_rng(seed)
        asked = [self.crowd.requests(rng) for _ in range(often)]
        for _ in range(ticks):
            if rng.random() < renewed:
                asked = [self.crowd.requests(rng) for _ in range(often)]
            self.crowd.tick(asked)

    @rule(ticks=st.integers(1, 40))
    def be_silent(self, ticks):
        for _ in range(ticks):
            self.crowd.tick([])

    def teardown(self):
        AnyCrowd.ticks += self.crowd.ticks


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_limit_holds_for_a_hundred_thousand_ticks():
    AnyCrowd.ticks = 0
    machine = type("Many", (AnyCrowd,), {})
    machine.TestCase.settings = storm(15, 20)
    machine.TestCase("runTest").runTest()
    assert AnyCrowd.ticks >= 100_000


def test_in_physics_the_measured_head_stays_within_its_envelope():
    """The motors trail, overshoot and are pressed against the body: 10 mm and 10° beyond the box at most."""
    rng, robots = np.random.default_rng(0), 8
    requests = random_requests(rng, robots, 120)
    motion = Motion.at_rest(np.tile(NEUTRAL, (robots, 1)))
    physics = Physics(robots, threads=1)
    physics.reset(np.arange(robots), motion.position, Actuators())
    beyond = np.array([*3 * (0.010,), *2 * (np.deg2rad(10.0),)])
    for request in requests:
        motion, _ = limit(physics.state, motion, request)
        physics.step(commanded_joints(motion))
        head = physics.state[:, : len(beyond)]
        assert (head >= CLASSROOM.low[: len(beyond)] - beyond).all()
        assert (head <= CLASSROOM.high[: len(beyond)] + beyond).all()
        body = physics.state[:, BODY_YAW]
        assert (np.abs(body) <= CLASSROOM.high[BODY_YAW] + np.deg2rad(2.0)).all()
