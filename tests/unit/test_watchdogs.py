"""Watchdogs over the one control loop: what they report, what the robot then does, and what ends the episode."""

from dataclasses import replace

import numpy as np
import pytest

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import ACTION_NAMES, CAMERA, CONTROL_HZ, NEUTRAL, YAW, EndReason, Observation
from reachy_kit.runtime.perception.camera import CAMERA_SILENT_AFTER
from reachy_kit.runtime.rollout import rollout
from reachy_kit.runtime.watchdogs import guarded_rollout as guarded_rollout_module
from reachy_kit.runtime.watchdogs.camera_watchdog import CameraWatchdog
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy
from reachy_kit.runtime.watchdogs.guarded_rollout import guarded_rollout
from reachy_kit.runtime.watchdogs.loop_watchdogs import DecisionWatchdog, TickWatchdog

LEFT = NEUTRAL + 2.0 * (np.arange(9) == YAW)
TICK = 1 / CONTROL_HZ


class Robot:
    """Goes where it is sent, at 0.05 rad a tick; its clock is the test's, and what it shows too."""

    name, control_hz = "robot", CONTROL_HZ
    observation_features = action_features = dict.fromkeys(ACTION_NAMES, float)

    def __init__(self):
        self.time, self.state, self.commands = 100.0, NEUTRAL.copy(), []
        self.show = lambda observation: observation
        self.late = 0.0

    def connect(self): ...

    def disconnect(self): ...

    def reset(self, pose):
        self.state = pose.copy()

    def get_observation(self):
        return self.show(Observation(self.state.copy(), self.time))

    def send_action(self, action):
        self.state = self.state + np.clip(action - self.state, -0.05, 0.05)
        self.commands.append(self.state)
        return self.state.copy()

    def wait_next_tick(self):
        self.time += TICK + self.late


class LooksLeft:
    """The policy. It counts its starts."""

    def __init__(self):
        self.resets, self.overdue = 0, 0.0

    def reset(self):
        self.resets += 1

    def act(self, observation):
        return LEFT


class Run:
    """A rollout of the policy under watchdogs, with faults at given seconds."""

    def __init__(self, *watchdogs, seconds=12.0):
        self.robot, self.policy, self.notes, self.seconds = Robot(), LooksLeft(), [], seconds
        self.guarded = GuardedPolicy(self.policy, watchdogs, self.notes.append, now=lambda: self.robot.time)
        self.at = {}

    def __call__(self):
        began = self.robot.time

        def on_tick(tick):
            for second in [second for second in self.at if self.robot.time - began >= second]:
                self.at.pop(second)()
            self.guarded.on_tick(tick)

        self.episode = rollout(
            self.robot, self.guarded, seconds=self.seconds, policy_hz=25, on_tick=on_tick, stop=self.guarded.stop
        )
        return self.episode.end_reason

    @property
    def yaw(self):
        return np.array(self.robot.commands)[:, YAW]


def seen(run, captured):
    """Observations with images captured at a time that depends on now."""
    image = np.zeros((64, 64, 3), dtype=np.uint8)

    def show(observation):
        time = captured(observation.capture_time)
        return observation if time is None else replace(observation, images={CAMERA: image}, image_times={CAMERA: time})

    run.robot.show = show


def stop_camera(run):
    stopped = run.robot.time
    seen(run, lambda now: stopped)


def test_all_is_well(make_run):
    run = make_run(CameraWatchdog(real=False))
    seen(run, lambda now: now - 0.05)
    assert run() is EndReason.COMPLETED
    run.guarded.raise_trouble()
    assert run.notes == []
    np.testing.assert_allclose(run.robot.state, LEFT)


@pytest.fixture
def make_run():
    return Run


def test_a_camera_that_stops_lets_the_robot_hold_then_ease_to_neutral_and_ends_the_episode(make_run):
    run = make_run(CameraWatchdog(real=False))
    seen(run, lambda now: now - 0.05)
    run.at[0.2] = lambda: stop_camera(run)
    assert run() is EndReason.STOPPED
    assert "no new image for 0.5 s" in run.notes[0]
    assert "holds still" in run.notes[0]
    with pytest.raises(KitError, match=r"the camera has delivered no new image for \d+\.\d s\. Is another program"):
        run.guarded.raise_trouble()
    moves = np.abs(np.diff(run.yaw))
    held = np.flatnonzero(moves < 1e-9)
    noticed = held[0] * TICK
    assert noticed <= 0.2 + 0.5, "it holds within half a second"
    assert run.yaw[held[0]] < 1.9, "it had not arrived"
    assert np.ptp(run.yaw[held[0] : held[0] + round(CameraWatchdog.patience / TICK)]) < 1e-9
    np.testing.assert_allclose(run.robot.state, NEUTRAL, atol=0.01)
    assert moves[held[0] :].max() < 0.045, "it eases: slower than it might move"


def test_a_camera_that_comes_back_lets_the_policy_drive_again(make_run):
    run = make_run(CameraWatchdog(real=False), seconds=6.0)
    seen(run, lambda now: now)
    run.at[0.3] = lambda: stop_camera(run)
    run.at[2.0] = lambda: seen(run, lambda now: now)
    assert run() is EndReason.COMPLETED
    assert [note.split(":")[0] for note in run.notes] == ["warning", "that has passed"]
    assert run.policy.resets == 2
    np.testing.assert_allclose(run.robot.state, LEFT)


def test_a_camera_that_comes_and_goes_ends_the_run(make_run):
    run = make_run(CameraWatchdog(real=False), seconds=30.0)
    seen(run, lambda now: now)
    for stop in range(1, 20, 3):
        run.at[stop] = lambda: stop_camera(run)
        run.at[stop + 2] = lambda: seen(run, lambda now: now)
    assert run() is EndReason.STOPPED
    assert sum(note.startswith("warning") for note in run.notes) == 4
    assert run.episode.seconds < 14


def test_a_fault_ends_at_once_what_cannot_resume(make_run):
    run = make_run()
    run.guarded = GuardedPolicy(
        run.policy, [CameraWatchdog(real=False)], run.notes.append, lambda: run.robot.time, resumes=False
    )
    seen(run, lambda now: now)
    run.at[2.0] = lambda: stop_camera(run)
    assert run() is EndReason.REDO
    assert 2.0 < run.episode.seconds < 2.5
    assert "no new image for 0.5 s" in run.guarded.fault
    with pytest.raises(KitError, match=r"no new image for 0\.5 s.* again\. Record it again"):
        run.guarded.raise_trouble("Record it again")
    seen(run, lambda now: now)
    assert run() is EndReason.COMPLETED
    assert run.guarded.fault == ""


def test_short_gaps_of_a_camera_do_not_end_the_run(make_run):
    run = make_run(CameraWatchdog(real=False), seconds=20.0)
    seen(run, lambda now: now)
    for stop in range(1, 18, 3):
        run.at[stop] = lambda: stop_camera(run)
        run.at[stop + 1] = lambda: seen(run, lambda now: now)
    assert run() is EndReason.COMPLETED
    assert sum(note.startswith("warning") for note in run.notes) == 6
    run.guarded.raise_trouble()


def test_a_late_frame_of_a_camera_that_sends_ten_per_second_is_not_noticed(make_run):
    run = make_run(CameraWatchdog(real=False), seconds=5.0)
    began = run.robot.time
    seen(run, lambda now: now - (now - began) % 0.4)  # three of four are lost
    assert run() is EndReason.COMPLETED
    assert run.notes == []


def test_a_camera_that_never_starts_is_reported_within_half_a_second(make_run):
    run = make_run(CameraWatchdog(real=False))
    assert run() is EndReason.STOPPED
    assert "has not delivered an image for 0.5 s" in run.notes[0]
    assert CAMERA_SILENT_AFTER + 2 * TICK < 0.5
    assert np.abs(run.yaw).max() < 1.25, "24 ticks of motion"


@pytest.mark.parametrize("real", [True, False])
def test_a_real_camera_that_repeats_an_image_while_the_head_turns_is_frozen(real, make_run):
    run = make_run(CameraWatchdog(real=real))
    seen(run, lambda now: now)
    assert run() is (EndReason.STOPPED if real else EndReason.COMPLETED)
    assert ("the same image again and again" in "".join(run.notes)) is real


def test_a_real_camera_may_repeat_an_image_while_the_head_stands_still(make_run):
    run = make_run(CameraWatchdog(real=True), seconds=3.0)
    seen(run, lambda now: now)
    run.policy.act = lambda observation: NEUTRAL
    assert run() is EndReason.COMPLETED


def test_a_loop_that_misses_most_of_its_ticks_ends(make_run):
    run = make_run()
    run.guarded = GuardedPolicy(
        run.policy, [TickWatchdog(lambda: run.robot.time)], run.notes.append, lambda: run.robot.time
    )
    run.at[2.0] = lambda: setattr(run.robot, "late", 0.03)
    assert run() is EndReason.STOPPED
    with pytest.raises(KitError, match="of the last 50 ticks were missed: this computer is too busy"):
        run.guarded.raise_trouble()
    np.testing.assert_allclose(run.robot.state, NEUTRAL, atol=0.01)


def test_one_long_stall_and_a_pause_are_not_missed_ticks(make_run):
    run = make_run()
    run.guarded = GuardedPolicy(
        run.policy, [TickWatchdog(lambda: run.robot.time)], run.notes.append, lambda: run.robot.time
    )
    run.at[2.0] = lambda: setattr(run.robot, "time", run.robot.time + 5.0)
    assert run() is EndReason.COMPLETED
    assert run.notes == []


def test_a_person_who_steps_tick_by_tick_misses_none(monkeypatch):
    robot, notes = Robot(), []
    guarded = GuardedPolicy(LooksLeft(), [TickWatchdog(lambda: robot.time)], notes.append, lambda: robot.time)
    monkeypatch.setattr(guarded_rollout_module.time, "perf_counter", lambda: robot.time)

    def wait(tick):
        robot.time += 0.5

    episode = guarded_rollout(robot, guarded, seconds=2.0, policy_hz=CONTROL_HZ, on_tick=wait)
    assert episode.end_reason is EndReason.COMPLETED
    assert notes == []


def test_a_policy_that_does_not_keep_up_ends_the_run(make_run):
    run = make_run()
    run.guarded = GuardedPolicy(run.policy, [DecisionWatchdog(run.policy)], run.notes.append, lambda: run.robot.time)
    run.at[1.0] = lambda: setattr(run.policy, "overdue", 0.6)
    assert run() is EndReason.STOPPED
    with pytest.raises(KitError, match=r"the policy has not decided for 0\.6 s: it is too slow for this computer"):
        run.guarded.raise_trouble()


def plan(run, comes):
    """Let a policy's plans be away from a second on, as it is computed beside the loop."""

    def act(observation):
        run.policy.overdue = max(comes(observation.capture_time - began), 0.0)
        return LEFT

    began, run.policy.act = run.robot.time, act


def slow_run(make_run, seconds=12.0):
    run = make_run(seconds=seconds)
    run.guarded = GuardedPolicy(run.policy, [DecisionWatchdog(run.policy)], run.notes.append, lambda: run.robot.time)
    return run


def test_a_first_plan_may_take_seconds(make_run):
    run = slow_run(make_run)
    run.policy.is_planned = False
    plan(run, lambda now: now)
    run.at[4.0] = lambda: vars(run.policy).update(is_planned=True, overdue=0.0, act=lambda observation: LEFT)
    assert run() is EndReason.COMPLETED
    assert run.notes == []


def test_a_first_plan_that_never_comes_ends_the_run(make_run):
    run = slow_run(make_run)
    run.policy.is_planned = False
    plan(run, lambda now: now)
    assert run() is EndReason.STOPPED
    assert "has not decided for 5.0 s" in run.notes[0]


def test_a_plan_that_comes_late_is_carried_out_and_not_thrown_away(make_run):
    run = slow_run(make_run)
    plan(run, lambda now: now - 2.0 if now < 3.0 else 0.0)
    assert run() is EndReason.COMPLETED
    assert [note.split(":")[0] for note in run.notes] == ["warning", "that has passed"]
    assert run.policy.resets == 1, "at the start of the episode alone"


@pytest.mark.parametrize("stops", [0.7, 3.0], ids=["while it holds", "while it eases"])
def test_a_fault_that_lasts_at_the_end_of_an_episode_is_raised(stops, make_run):
    run = make_run(CameraWatchdog(real=False), seconds=stops + 1.0 if stops < 1 else stops + 4.0)
    seen(run, lambda now: now)
    run.at[stops] = lambda: stop_camera(run)
    assert run() is EndReason.COMPLETED
    assert np.abs(run.yaw[-1]) > 0.1, "it has not come to rest"
    with pytest.raises(KitError, match="the camera has delivered no new image"):
        run.guarded.raise_trouble()


def test_the_next_episode_starts_without_the_fault_of_the_one_before(make_run):
    run = make_run(CameraWatchdog(real=False), seconds=1.0)
    seen(run, lambda now: now)
    run.at[0.5] = lambda: stop_camera(run)
    assert run() is EndReason.COMPLETED
    seen(run, lambda now: now)
    assert run() is EndReason.COMPLETED
    np.testing.assert_allclose(run.robot.state, LEFT, atol=0.06)
