"""The one control loop, with the smallest robot, policy and world that can be plugged into it."""

import time
import tracemalloc

import numpy as np
import pytest

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, BODY_YAW, NEUTRAL, YAW, EndReason, Observation, Truth
from reachy_kit.runtime.robots.loop_rate import REFUSED, is_late
from reachy_kit.runtime.rollout import rollout

TICK = 0.02


class StiffRobot:
    """Reaches its target at once, but never turns its head further than half a radian."""

    name, control_hz = "stiff", 50

    def __init__(self):
        self.commands, self.resets, self.time, self.state = [], [], 100.0, NEUTRAL.copy()

    observation_features = action_features = dict.fromkeys(ACTION_NAMES, float)

    def connect(self): ...

    def disconnect(self): ...

    def reset(self, pose):
        self.resets.append(pose)
        self.state = pose.copy()

    def get_observation(self):
        return Observation(self.state.copy(), self.time, environment_state=np.array([7.0]))

    def send_action(self, action):
        self.commands.append(action)
        self.state = action.copy()
        self.state[YAW] = np.clip(action[YAW], -0.5, 0.5)
        return self.state.copy()

    def wait_next_tick(self):
        self.time += TICK


class Script:
    """A policy that returns given targets one after the other, and keeps its observations."""

    def __init__(self, *targets):
        self.targets, self.observations, self.resets = list(targets), [], 0

    def reset(self):
        self.resets += 1

    def act(self, observation):
        self.observations.append(observation)
        return self.targets[min(len(self.observations), len(self.targets)) - 1]


class Clockwork:
    """A world that starts at a turned pose, and whose gaze error is the time since the start."""

    def __init__(self, log=None):
        self.log = [] if log is None else log

    def reset(self, seed):
        self.log.append(("reset", seed))
        return turned(head=0.1, body=0.2)

    def start(self, time):
        self.log.append(("start", time))
        self.begun = time

    def measure(self, observation):
        elapsed = observation.capture_time - self.begun
        self.log.append(("measure", observation.capture_time))
        return Truth(np.zeros(3), task_error=elapsed, reward=1 - elapsed, success=elapsed > 0.3)


class SeedAndTime:
    """A perception whose features are its seed and the time."""

    names = ("seed", "time")

    def reset(self, seed):
        self.seed = seed

    def perceive(self, observation):
        return np.array([self.seed, observation.capture_time])


class Listener:
    """A subscriber that keeps its events."""

    def __init__(self, name="", events=None):
        self.name, self.events, self.steps, self.ended = name, [] if events is None else events, [], []

    def on_episode_start(self, seed):
        self.events.append((self.name, "start", seed))

    def on_step(self, step):
        self.events.append((self.name, "step", step.index))
        self.steps.append(step)

    def on_episode_end(self, episode):
        self.events.append((self.name, "end", episode.seed))
        self.ended.append(episode)


def turned(head=0.0, body=0.0):
    pose = NEUTRAL.copy()
    pose[[YAW, BODY_YAW]] = head, body
    return pose


@pytest.fixture
def robot():
    return StiffRobot()


@pytest.mark.parametrize(("policy_hz", "ticks"), [(50, 1), (25, 2), (10, 5)])
def test_between_decisions_the_targets_are_interpolated(robot, policy_hz, ticks):
    rollout(robot, Script(turned(head=0.4), turned(body=0.3)), seconds=2 / policy_hz, policy_hz=policy_hz)
    there = [turned(head=0.4 * tick / ticks) for tick in range(1, ticks + 1)]
    back = [turned(head=0.4 * (1 - tick / ticks), body=0.3 * tick / ticks) for tick in range(1, ticks + 1)]
    np.testing.assert_allclose(robot.commands, there + back, atol=1e-12)


def test_what_the_robot_applied_is_recorded_and_is_where_the_next_target_is_reached_from(robot):
    listener = Listener()
    rollout(robot, Script(turned(head=1.0), turned()), seconds=0.08, policy_hz=25, subscribers=[listener])
    assert [step.action[YAW] for step in listener.steps] == [0.5, 0.0]
    assert [command[YAW] for command in robot.commands] == [0.5, 1.0, 0.25, 0.0]


def test_a_step_holds_what_the_policy_saw_and_the_truth_that_followed(robot):
    policy, listener = Script(turned(head=0.2)), Listener()
    rollout(robot, policy, seconds=0.12, policy_hz=25, world=Clockwork(), subscribers=[listener])
    assert [step.index for step in listener.steps] == [0, 1, 2]
    for step, observation in zip(listener.steps, policy.observations, strict=True):
        assert step.observation is observation
    for step, following in zip(listener.steps, listener.steps[1:], strict=False):
        assert step.next_observation is following.observation
    assert listener.steps[-1].next_observation.capture_time == pytest.approx(100.12)
    np.testing.assert_allclose([step.observation.capture_time for step in listener.steps], [100, 100.04, 100.08])
    np.testing.assert_allclose([step.truth.task_error for step in listener.steps], [0.04, 0.08, 0.12])


def test_every_observation_carries_the_action_in_force(robot):
    policy = Script(turned(head=0.9), turned(head=0.3))
    rollout(robot, policy, seconds=0.12, policy_hz=25, world=Clockwork())
    in_force = [turned(head=0.1, body=0.2), turned(head=0.5), turned(head=0.3)]
    np.testing.assert_allclose([observation.last_action for observation in policy.observations], in_force, atol=1e-12)


def test_the_episode_starts_where_the_world_says_and_at_the_robots_time(robot):
    world, policy = Clockwork(), Script(turned())
    rollout(robot, policy, seconds=0.04, policy_hz=25, world=world, seed=11)
    np.testing.assert_array_equal(robot.resets, [turned(head=0.1, body=0.2)])
    assert world.log[:2] == [("reset", 11), ("start", 100.0)]
    assert policy.resets == 1


def test_without_a_world_the_episode_starts_at_neutral_and_has_no_measures(robot):
    episode = rollout(robot, Script(turned()), seconds=0.2, policy_hz=25)
    np.testing.assert_array_equal(robot.resets, [NEUTRAL])
    assert (episode.success, episode.task_error, episode.reward) == (None, None, None)
    assert episode.steps == 5


def test_perception_fills_the_features_and_receives_the_seed(robot):
    policy = Script(turned())
    rollout(robot, policy, seconds=0.08, policy_hz=25, perception=SeedAndTime(), seed=5)
    np.testing.assert_allclose(
        [observation.environment_state for observation in policy.observations], [[5, 100], [5, 100.04]]
    )


def test_without_perception_the_features_stay_as_the_robot_gives_them(robot):
    policy = Script(turned())
    rollout(robot, policy, seconds=0.04, policy_hz=25)
    np.testing.assert_array_equal(policy.observations[0].environment_state, [7.0])


def test_subscribers_hear_the_start_every_step_and_the_end_in_their_order(robot):
    events = []
    listeners = [Listener("a", events), Listener("b", events)]
    rollout(robot, Script(turned()), seconds=0.08, policy_hz=25, seed=3, subscribers=listeners)
    expected = [("start", 3), ("step", 0), ("step", 1), ("end", 3)]
    assert events == [(name, *what) for what in expected for name in ("a", "b")]


def test_the_summary_is_the_last_seconds_error_the_mean_reward_and_the_final_success(robot):
    episode = rollout(robot, Script(turned()), seconds=3, policy_hz=10, world=Clockwork(), seed=2)
    errors = np.arange(1, 31) / 10
    assert episode.task_error == pytest.approx(errors[-10:].mean())
    assert episode.reward == pytest.approx((1 - errors).mean())
    assert episode.success is True
    assert (episode.seed, episode.steps, len(episode.work)) == (2, 30, 150)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("axis", [0, YAW, 8])
def test_a_policy_that_returns_nan_is_refused_before_another_command(robot, value, axis):
    broken = turned(head=0.2)
    broken[axis] = value
    listener = Listener()
    with pytest.raises(RefusedError, match=rf"not a number for {ACTION_NAMES[axis]};"):
        rollout(robot, Script(turned(), broken), seconds=1, policy_hz=25, subscribers=[listener])
    assert len(robot.commands) == 2
    assert not listener.ended


@pytest.mark.parametrize(
    ("action", "shape"),
    [(NEUTRAL[:8], "(8,)"), (NEUTRAL[None], "(1, 9)"), (np.append(NEUTRAL, np.nan), "(10,)"), (None, "()")],
    ids=["eight numbers", "a batch", "ten numbers", "nothing"],
)
def test_a_policy_that_returns_another_shape_is_refused_before_any_command(robot, action, shape):
    with pytest.raises(RefusedError) as refused:
        rollout(robot, Script(action), seconds=1, policy_hz=25)
    assert f"shape {shape} instead of (9,)" in str(refused.value)
    assert not robot.commands


@pytest.mark.parametrize("policy_hz", [3, 20, 30, 60, 100])
def test_a_rate_that_does_not_divide_the_robots_is_wrong_use_and_moves_nothing(robot, policy_hz):
    with pytest.raises(WrongUseError, match=f"{policy_hz} Hz does not divide the robot's 50 Hz"):
        rollout(robot, Script(turned()), seconds=1, policy_hz=policy_hz)
    assert not robot.resets
    assert not robot.commands


def test_a_subscribers_error_ends_the_episode_without_announcing_its_end(robot):
    class Fussy(Listener):
        def on_step(self, step):
            raise OSError("disk full")

    other = Listener()
    with pytest.raises(OSError, match="disk full"):
        rollout(robot, Script(turned()), seconds=1, policy_hz=25, subscribers=[other, Fussy()])
    assert len(other.steps) == 1
    assert not other.ended


# An early end


def after(ticks, reason):
    """Ends an episode once it has lasted that many ticks."""
    asked = iter(range(1000))
    return lambda: reason if next(asked) == ticks else None


@pytest.mark.parametrize("reason", EndReason)
@pytest.mark.parametrize("seconds", [0.4, None])
def test_an_episode_ends_when_stop_says_so_and_keeps_the_reason(robot, reason, seconds):
    listener = Listener()
    options = {"seed": 4, "subscribers": [listener], "stop": after(6, reason)}
    episode = rollout(robot, Script(turned()), seconds=seconds, policy_hz=25, world=Clockwork(), **options)
    assert (episode.end_reason, episode.steps, len(episode.work), len(robot.commands)) == (reason, 3, 6, 6)
    assert episode.task_error == pytest.approx(np.mean([0.04, 0.08, 0.12]))
    assert listener.ended == [episode]
    assert [step.index for step in listener.steps] == [0, 1, 2]


def test_an_episode_of_full_length_is_completed(robot):
    assert rollout(robot, Script(turned()), seconds=0.2, policy_hz=25).end_reason is EndReason.COMPLETED


def test_a_decision_that_is_cut_short_is_not_a_step(robot):
    listener = Listener()
    stop = after(8, EndReason.STOPPED)
    target = turned(head=0.4)
    episode = rollout(robot, Script(target), seconds=1, policy_hz=10, subscribers=[listener], stop=stop)
    assert (episode.steps, len(listener.steps), len(robot.commands)) == (1, 1, 8)
    np.testing.assert_array_equal(robot.state, target)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"seconds": 1.0, "stop": lambda: EndReason.DISCARDED}, EndReason.DISCARDED),
        ({"seconds": 0.0}, EndReason.COMPLETED),
    ],
    ids=["stopped at once", "no length"],
)
def test_an_episode_without_a_step_is_announced_and_has_no_measures(robot, options, reason):
    listener, policy = Listener(), Script(turned())
    episode = rollout(robot, policy, policy_hz=25, world=Clockwork(), subscribers=[listener], **options)
    assert (episode.end_reason, episode.steps) == (reason, 0)
    assert (episode.success, episode.task_error, episode.reward) == (None, None, None)
    assert (len(episode.periods), len(episode.work)) == (0, 0)
    assert listener.ended == [episode]
    assert not policy.observations
    assert not robot.commands


def test_an_episode_without_an_end_does_not_fill_the_memory(robot, monkeypatch):
    monkeypatch.setattr("reachy_kit.runtime.rollout._KEPT_TICKS", 100)
    snapshots = []

    def on_tick(tick):
        if tick.index in (400, 3600):
            snapshots.append(tracemalloc.take_snapshot())

    tracemalloc.start()
    stop = iter(range(3700))
    rollout(
        robot, Script(turned()), seconds=None, policy_hz=50, world=Clockwork(), on_tick=on_tick,
        stop=lambda: EndReason.STOPPED if next(stop) == 3650 else None,
    )  # fmt: skip
    tracemalloc.stop()
    before, after = snapshots
    changes = after.compare_to(before, "filename")
    assert sum(change.size_diff for change in changes if "runtime/rollout.py" in str(change)) < 4000


def test_each_tick_shows_the_latest_observation_and_the_action_in_force_before_it_can_be_stopped(robot):
    ticks, calls, policy = [], [], Script(turned(head=0.4), turned(head=0.2))

    def on_tick(tick):
        ticks.append(tick)
        calls.append(("tick", tick.index, len(robot.commands)))

    def stop():
        calls.append(("stop", len(ticks) - 1, len(robot.commands)))
        return EndReason.COMPLETED if len(ticks) == 5 else None

    rollout(robot, policy, seconds=None, policy_hz=25, stop=stop, on_tick=on_tick)
    assert calls == [(what, index, index) for index in range(5) for what in ("tick", "stop")]
    assert [tick.observation is policy.observations[0] for tick in ticks] == [True, True, False, False, False]
    assert [tick.observation is policy.observations[1] for tick in ticks] == [False, False, True, True, False]
    assert [tick.action[YAW] for tick in ticks] == pytest.approx([0.0, 0.2, 0.4, 0.3, 0.2])


def test_observations_given_by_the_robot_are_not_altered(robot):
    given = []

    class Keeping(StiffRobot):
        def get_observation(self):
            given.append(super().get_observation())
            return given[-1]

    rollout(Keeping(), Script(turned()), seconds=0.04, policy_hz=25, perception=SeedAndTime())
    assert all(observation.last_action is None for observation in given)
    assert all(observation.environment_state.tolist() == [7.0] for observation in given)


@pytest.mark.parametrize("slowdown", [1.0, 1.3])
def test_an_episode_knows_how_long_it_took_on_the_robots_own_clock(slowdown):
    class Late(StiffRobot):
        def wait_next_tick(self):
            self.time += slowdown * TICK

    episode = rollout(Late(), Script(turned(0.1)), seconds=2.0, policy_hz=25)
    assert episode.nominal_seconds == 2.0
    assert episode.seconds == pytest.approx(2.0 * slowdown)
    assert episode.slowdown == pytest.approx(slowdown)
    assert is_late(episode) is is_late(episode, REFUSED) is (slowdown > 1)


def test_what_may_be_a_measurements_age_is_not_called_late():
    class LateAtTheEnd(StiffRobot):
        def wait_next_tick(self):
            self.time += TICK if self.time < 100.0 + 9.5 * TICK else 3 * TICK

    episode = rollout(LateAtTheEnd(), Script(turned(0.1)), seconds=0.24, policy_hz=50)
    assert episode.slowdown > REFUSED
    assert not is_late(episode)


@pytest.mark.parametrize("clock_runs", [True, False], ids=["wall clock", "simulated time"])
@pytest.mark.parametrize("at", [4, 5], ids=["before a decision", "between decisions"])
def test_a_pause_is_not_part_of_the_episode_and_the_policy_decides_on_what_is_there_after_it(clock_runs, at, robot):
    def pause(tick):
        if tick.index == at:
            time.sleep(0.15)
            robot.time += 60.0 * clock_runs

    policy = Script(turned(0.1))
    episode = rollout(robot, policy, seconds=0.4, policy_hz=25, on_tick=pause)
    assert episode.seconds == pytest.approx(0.4)
    assert not is_late(episode)
    if at == 4:
        assert policy.observations[2].capture_time == pytest.approx(100.08 + 60.0 * clock_runs)
