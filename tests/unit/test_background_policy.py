"""Inference beside the loop: it never waits for a slow policy, and takes the action that is due now, without a jump."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.inference.background_policy import BackgroundPolicy
from reachy_kit.runtime.inference.chunk_handover import FADE, ChunkHandover, DecisionClock
from reachy_kit.runtime.inference.chunked import ChunkedPolicy, ResidualPolicy
from reachy_kit.runtime.interface import ACTION_NAMES, CAMERA, NEUTRAL, Observation
from reachy_kit.runtime.rollout import rollout

HZ, CHUNK = 25, 8
WAIT = 30.0
"""Longest wait for a thread, s; only a test that fails takes as long."""
FADING = int(np.ceil(FADE * HZ))


def observed(step, hz=HZ, value=None):
    """What is observed at a decision: every axis of the pose is the number of the decision, unless told otherwise."""
    state = np.full(9, float(step if value is None else value))
    return Observation(state, 100.0 + step / hz, environment_state=np.zeros(2), last_action=NEUTRAL)


def tracking(state, sensed, last_action):
    """A plan that knows the future: the target of each decision is the number of the decision."""
    return state[:, -1:] + np.arange(CHUNK, dtype=np.float32)[None, :, None]


class Gate:
    """A predictor whose every answer the test lets through.

    Args:
        predict: answers.
    """

    def __init__(self, predict=tracking):
        self.predict, self.begun, self.permits = predict, threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, *inputs):
        self.begun.release()
        assert self.permits.acquire(timeout=WAIT)
        return self.predict(*inputs)


def let_through(gate, policy, *, begun=False):
    """Let the inference in progress finish; wait for its begin, unless that was done before."""
    assert begun or gate.begun.acquire(timeout=WAIT)
    plans, deadline = policy.summary().plans, time.monotonic() + WAIT
    gate.permits.release()
    while policy.summary().plans == plans:
        assert time.monotonic() < deadline, "the plan was not finished"
        time.sleep(0)


@pytest.fixture
def background():
    """Makes policies in the background, which do not wait for their threads, and ends those at the end."""
    made = []

    def make(predictor, n_action_steps=1, patience=0.0, n_obs_steps=2, hz=HZ):
        made.append(BackgroundPolicy(ChunkedPolicy(predictor, n_obs_steps, n_action_steps), hz, patience))
        return made[-1]

    yield make
    for policy in made:
        if isinstance(gate := policy._planner._predictor, Gate):
            gate.permits.release(100)
        policy.close()
    assert "inference" not in [thread.name for thread in threading.enumerate()]


class ToyRobot:
    """Goes where it is commanded, in its own time."""

    name, control_hz = "toy", 50
    observation_features = action_features = dict.fromkeys(ACTION_NAMES, float)

    def __init__(self):
        self.time, self.ticks = 0.0, 0

    def reset(self, pose):
        self.state = pose.copy()

    def get_observation(self):
        image = np.full((8, 12, 3), 20 * self.ticks % 256, np.uint8)
        features = np.array([self.time, 1.0])
        return Observation(self.state.copy(), self.time, features, images={CAMERA: image})

    def send_action(self, action):
        self.state = 0.5 * self.state + 0.5 * action
        return action

    def wait_next_tick(self):
        self.time += 0.02
        self.ticks += 1


class Requests:
    """Remembers what a policy asked for."""

    def __init__(self):
        self.targets = []

    def on_episode_start(self, seed): ...

    def on_step(self, step):
        self.targets.append(step.request)

    def on_episode_end(self, episode): ...


def requests(policy, episodes=2):
    subscriber = Requests()
    for _ in range(episodes):
        rollout(ToyRobot(), policy, seconds=1.2, policy_hz=HZ, subscribers=[subscriber])
    return np.array(subscriber.targets)


def network(seed):
    """A random network of one layer: (1, T, 9), (1, T, 2), (1, 9), perhaps (1, 9) → chunks, or one action."""
    rng = np.random.default_rng(seed)
    weights = {}

    def predict(*inputs, rows=CHUNK):
        flat = np.concatenate([part.ravel() for part in inputs])
        matrix = weights.setdefault(flat.size, rng.normal(size=(flat.size, rows * 9)).astype(np.float32) / 30)
        return np.tanh(flat @ matrix).reshape(1, rows, 9)

    return predict


def residual(n_action_steps):
    def correct(*inputs):
        return network(1)(*inputs, rows=1)[:, 0]

    return ResidualPolicy(ChunkedPolicy(network(0), 3, n_action_steps), correct, 4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ChunkedPolicy(network(0), 4, 1),
        lambda: ChunkedPolicy(network(0), 4, 3),
        lambda: ChunkedPolicy(network(0), 2, CHUNK),
        lambda: ChunkedPolicy(network(0), 2, 1, temporal_ensemble_coeff=0.1),
        lambda: ChunkedPolicy(network(0), 3, 2, image_size=(4, 6)),
        lambda: residual(1),
        lambda: residual(3),
    ],
    ids=["each decision", "every third", "whole chunks", "ensemble", "images", "residual", "residual, every third"],
)
def test_a_policy_that_answers_at_once_acts_exactly_as_in_the_loop(make):
    beside = BackgroundPolicy(make(), HZ, patience=WAIT)
    try:
        np.testing.assert_array_equal(requests(beside), requests(make()))
    finally:
        beside.close()
    assert beside.summary().held == 0


def test_the_loop_ticks_on_while_inference_is_blocked(background):
    robot, gate = ToyRobot(), Gate()
    policy = background(gate)

    def on_tick(tick):
        if tick.index == 40:
            let_through(gate, policy)

    subscriber = Requests()
    rollout(robot, policy, seconds=1.2, policy_hz=HZ, on_tick=on_tick, subscribers=[subscriber])
    assert robot.ticks == 60
    requested = np.array(subscriber.targets)
    np.testing.assert_array_equal(requested[:20], np.tile(NEUTRAL, (20, 1)))
    assert not np.array_equal(requested[20], NEUTRAL)


def test_a_late_plan_is_carried_out_from_the_action_on_that_is_due_now(background):
    gate = Gate()
    policy = background(gate)
    held = [policy.act(observed(step)) for step in range(5)]
    np.testing.assert_array_equal(held, np.tile(NEUTRAL, (5, 1)))
    let_through(gate, policy)  # made from the observation of decision 0
    targets = np.array([policy.act(observed(step)) for step in range(5, CHUNK + 4)])
    shares = 1 - (np.arange(4) + 1) / (FADING + 1)
    due = np.array([5, 6, 7, 7])  # then its last action holds
    np.testing.assert_allclose(targets[:4, 0], due + shares * (NEUTRAL[0] - 5))
    np.testing.assert_array_equal(targets[3:], 7)


@given(st.lists(st.booleans(), min_size=30, max_size=60))
@settings(max_examples=40)
def test_at_any_latency_each_target_is_that_of_its_time(finishes):
    gate = Gate()
    policy = BackgroundPolicy(ChunkedPolicy(gate, 2, 1), HZ, patience=0.0)
    try:
        begun, answered, arrived, covered = 0, None, 0, 0
        for step, finish in enumerate(finishes):
            target = policy.act(observed(step))
            if answered is None:
                np.testing.assert_array_equal(target, NEUTRAL)
            else:
                covered = covered + 1 if step - answered < CHUNK else 0
                if covered > FADING:
                    np.testing.assert_allclose(target, step, atol=1e-9)
                if step - arrived >= FADING:
                    np.testing.assert_allclose(target, min(step, answered + CHUNK - 1), atol=1e-9)
            if finish:
                let_through(gate, policy)
                if answered is None or step + 1 - answered >= CHUNK:
                    covered = 0  # the next one follows a chunk that holds
                answered, begun, arrived = begun, step + 1, step + 1
    finally:
        gate.permits.release(100)
        policy.close()


PLANS = st.lists(st.lists(st.floats(-1, 1), min_size=CHUNK, max_size=CHUNK), min_size=1, max_size=12)


@given(PLANS, st.lists(st.integers(0, CHUNK + 3), min_size=12, max_size=12), st.sampled_from([10, 25, 50]))
@settings(max_examples=60)
def test_targets_never_jump_where_a_chunk_follows_another(plans, latencies, hz):
    rest = iter([np.tile(np.array(plan, np.float32)[:, None], (1, 9))[None] for plan in plans])
    gate = Gate(lambda *inputs: next(rest))
    policy = BackgroundPolicy(ChunkedPolicy(gate, 2, 1), hz, patience=0.0)
    targets, step = [NEUTRAL[0]], 0
    try:
        for latency in latencies[: len(plans)]:
            for _ in range(latency + 1):
                targets.append(policy.act(observed(step, hz))[0])
                step += 1
            let_through(gate, policy)
        targets += [policy.act(observed(step + more, hz))[0] for more in range(3)]
    finally:
        gate.permits.release(100)
        policy.close()
    # Where every decision has a chunk of its own, the last ``fading`` + 1 of them are averaged: the average moves by a
    # share of what they differ, and by what each of them moves itself.
    fading, inside = np.ceil(FADE * hz), max(np.abs(np.diff(plan)).max() for plan in plans)
    differ = np.ptp([*np.ravel(plans), NEUTRAL[0]])
    assert np.abs(np.diff(targets)).max() <= 2 * inside + differ / (fading + 1) + 1e-6


VALUES = st.lists(st.floats(-3, 3), min_size=1, max_size=20)


@given(VALUES, st.integers(1, 30), st.floats(-3, 3), st.sampled_from([10, 25, 50]))
def test_a_late_chunk_begins_next_to_the_one_before_and_ends_on_its_own(values, late, before, hz):
    chunk, fading = np.tile(np.array(values)[:, None], (1, 9)), int(np.ceil(FADE * hz))
    handover = ChunkHandover(hz)
    handover.follow(np.full((1, 9), before), 0, 0, NEUTRAL)
    handover.follow(chunk, 5, 5 + late, NEUTRAL)
    due = [values[min(late + ahead, len(values) - 1)] for ahead in range(30)]
    targets = np.array([handover.target(5 + late + ahead)[0] for ahead in range(30)])
    assert targets[0] == pytest.approx(before + (due[0] - before) / (fading + 1))
    np.testing.assert_array_equal(targets[fading:], due[fading:])


def test_a_chunk_that_has_run_out_holds_its_last_action_and_says_how_old_it_is(background):
    policy = background(Gate())
    gate = policy._planner._predictor
    policy.act(observed(0))
    let_through(gate, policy)
    targets = [policy.act(observed(step)) for step in range(1, 20)]
    np.testing.assert_array_equal(targets[CHUNK:], np.full((19 - CHUNK, 9), CHUNK - 1))
    assert policy.decision_age == pytest.approx(19 / HZ)
    assert policy.last_inference_seconds is not None
    assert policy.summary().held == pytest.approx((1 + 20 - CHUNK) / 20)  # before the plan, and after it
    assert policy.summary().is_slow


def test_a_policy_that_fails_in_its_thread_ends_the_run_with_its_own_error(background):
    def fail(*inputs):
        raise ZeroDivisionError("the network's own words")

    policy, robot = background(fail), ToyRobot()
    with pytest.raises(ZeroDivisionError, match="the network's own words"):
        rollout(robot, policy, seconds=None, policy_hz=HZ)
    policy.close()
    policy.close()


def test_what_a_policy_lacks_ends_the_run_too(background):
    policy = background(tracking, patience=WAIT)
    with pytest.raises(WrongUseError, match="needs perception"):
        policy.act(Observation(NEUTRAL, 0.0))


def test_a_new_episode_takes_nothing_from_the_one_before(background):
    windows, gate = [], Gate()

    def noting(state, sensed, last_action):
        windows.append(state[0, :, 0].tolist())
        return tracking(state, sensed, last_action)

    gate.predict = noting
    policy = background(gate, n_obs_steps=3)
    for step in range(3):
        policy.act(observed(step, value=7))
    assert gate.begun.acquire(timeout=WAIT)
    policy.reset()
    assert policy.decision_age == 0
    np.testing.assert_array_equal(policy.act(observed(3, value=1)), NEUTRAL)
    let_through(gate, policy, begun=True)  # of the episode before
    np.testing.assert_array_equal(policy.act(observed(4, value=2)), NEUTRAL)
    let_through(gate, policy)
    assert windows == [[7, 7, 7], [1, 1, 2]]
    assert policy.act(observed(5, value=3))[0] > 0


def test_every_observation_reaches_the_history_also_those_that_come_during_inference(background):
    windows, gate = [], Gate()

    def noting(state, sensed, last_action):
        windows.append(state[0, :, 0].tolist())
        return tracking(state, sensed, last_action)

    gate.predict = noting
    policy = background(gate, n_obs_steps=4)
    for step in range(6):
        policy.act(observed(step))
    let_through(gate, policy)
    policy.act(observed(6))
    let_through(gate, policy)
    assert windows == [[0, 0, 0, 0], [3, 4, 5, 6]]


def test_after_a_pause_the_robot_stays_until_there_is_a_plan_for_what_is_observed_now(background):
    gate = Gate()
    policy = background(gate)
    policy.act(observed(0))
    let_through(gate, policy)
    assert policy.act(observed(1))[0] > 0
    assert gate.begun.acquire(timeout=WAIT)
    moved = observed(100)  # four seconds later, and a person has moved the robot
    in_force = np.full(9, 0.25)
    held = policy.act(Observation(moved.state, moved.capture_time, moved.environment_state, in_force))
    np.testing.assert_array_equal(held, in_force)
    let_through(gate, policy, begun=True)  # the inference that the pause has overtaken
    np.testing.assert_array_equal(policy.act(observed(101)), in_force)
    let_through(gate, policy)
    policy.act(observed(102))
    for step in range(103, 103 + FADING):
        target = policy.act(observed(step))
    np.testing.assert_allclose(target, step)


def test_a_clock_that_begins_again_begins_an_episode(background):
    gate = Gate()
    policy = background(gate)
    policy.act(observed(50))
    let_through(gate, policy)
    assert policy.act(observed(51))[0] > 0
    let_through(gate, policy)
    np.testing.assert_array_equal(policy.act(observed(0)), NEUTRAL)
    let_through(gate, policy)
    for step in range(1, FADING + 2):
        target = policy.act(observed(step))
    np.testing.assert_allclose(target, step)


def test_a_short_stall_skips_the_actions_that_it_cost(background):
    gate = Gate()
    policy = background(gate)
    policy.act(observed(0))
    let_through(gate, policy)
    for step in range(1, 5):
        policy.act(observed(step))
    np.testing.assert_allclose(policy.act(observed(7)), 7)


@given(st.lists(st.floats(-0.019, 0.019), min_size=2, max_size=200), st.sampled_from([10, 25, 50]))
def test_jitter_of_the_measurements_neither_skips_nor_repeats_an_action(jitter, hz):
    clock = DecisionClock(hz)
    assert [clock.count(50.0 + step / hz + late) for step, late in enumerate(jitter)] == list(range(len(jitter)))


@given(st.lists(st.floats(0, 0.5), min_size=2, max_size=200), st.sampled_from([10, 25, 50]))
def test_the_clock_of_the_decisions_never_runs_backwards_nor_away_from_the_captured_time(periods, hz):
    clock, times = DecisionClock(hz), np.cumsum(periods)
    numbers = np.array([clock.count(time) for time in times])
    assert (np.diff(numbers) >= 0).all()
    due = (times - times[0]) * hz
    assert (numbers - due <= max(1, 0.04 * hz) + 1e-6).all() or (np.diff(times) < 1 / hz).any()
    assert (numbers - due >= -max(1, 0.04 * hz) - 1e-6).all()
