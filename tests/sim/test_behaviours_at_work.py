"""Behaviours on a simulated robot: what they do, that exactly one drives, and that the limiter lets them pass."""

import contextlib
from dataclasses import dataclass, replace

import numpy as np
import pytest

from reachy_kit.runtime.behaviours.driving.arbiter import HOLDING, Arbiter, DriverChange
from reachy_kit.runtime.interface import BODY_YAW, NEUTRAL, PITCH, YAW, EndReason, Step
from reachy_kit.runtime.rollout import rollout
from reachy_kit.workflows.driving.run_plan import BETWEEN, HIDDEN
from reachy_kit.workflows.inputs.drivers import read_drivers
from reachy_kit.workflows.inputs.session import open_session
from reachy_sim.tasks import variant_by_name

TICK = 1 / 50
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))]


@dataclass
class Driven:
    """What happened in an episode that behaviours drove."""

    steps: list[Step]
    changes: list[DriverChange]
    arbiter: Arbiter
    limited: list[int]
    """What the limiter has said of each tick's request."""

    @property
    def start(self):
        return self.steps[0].observation.last_action

    @property
    def requests(self):
        return np.array([step.request for step in self.steps])

    @property
    def actions(self):
        return np.array([step.action for step in self.steps])

    @property
    def states(self):
        return np.array([step.next_observation.state for step in self.steps])

    @property
    def drivers(self):
        """Name of the driver of each step."""
        names, changes = [], iter([*self.changes, None])
        change = next(changes)
        for step in self.steps:
            while change and change.time <= step.observation.capture_time + 1e-9:
                name, change = change.after, next(changes)
            names.append(name)
        return np.array(names)


@pytest.fixture
def drive():
    """Lets behaviours drive an episode in a simulated world."""

    def run(*given, task=None, seconds=10.0, seed=3, start=None, on_tick=lambda tick, arbiter: None, **changes):
        drivers = read_drivers(given)
        variant = variant_by_name(task or drivers.task)
        variant = replace(variant, task=replace(variant.task, **changes))
        steps, driver_changes, limited = [], [], []
        with (
            contextlib.ExitStack() as at_rest,
            open_session("sim", variant, "geometry", camera=False, features=drivers.features) as session,
        ):
            arbiter = drivers.open(session, at_rest, driver_changes.append).policy
            rollout(
                session.robot,
                arbiter,
                seconds=seconds,
                policy_hz=drivers.hz,
                seed=seed,
                perception=session.perception,
                world=session.world,
                start=start,
                subscribers=[Recording(steps)],
                on_tick=lambda tick: on_tick(tick, arbiter),
                on_timing=lambda timing: limited.append(session.robot.limited),
            )
        return Driven(steps, driver_changes, arbiter, limited)

    return run


class Recording:
    """Keeps the steps of a rollout."""

    def __init__(self, steps):
        self._steps = steps

    def on_episode_start(self, seed):
        """Begin."""

    def on_step(self, step):
        self._steps.append(step)

    def on_episode_end(self, episode):
        assert episode.end_reason is EndReason.COMPLETED


def assert_unlimited(driven):
    """The limiter has let every request pass."""
    assert not any(driven.limited)
    off = np.abs(driven.actions - driven.requests)
    worst = np.unravel_index(off.argmax(), off.shape)
    assert off.max() < 1e-9, f"step {worst[0]}, axis {worst[1]}, {off.max():.4f}, {driven.drivers[worst[0]]} drives"


def assert_smooth(driven):
    """No jump: the commanded speed of the head changes by less than half of what the limiter permits."""
    speeds = np.diff([driven.start, *driven.requests], axis=0) / TICK
    assert np.abs(np.diff(speeds[:, 3:6], axis=0)).max() < 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_idle_breathes_below_the_tracker_and_takes_over_when_the_target_is_lost(drive, seed):
    driven = drive("track", "idle", seconds=20.0, seed=seed, hidden=HIDDEN, between=BETWEEN)
    assert_unlimited(driven)
    assert_smooth(driven)
    assert {change.after for change in driven.changes} == {"track", "idle"}
    assert len(driven.changes) >= 4
    # Exactly one at each tick: every decision was taken, once.
    assert sum(driven.arbiter.decisions.values()) == len(driven.steps) == 20 * 50
    tracking = driven.drivers == "track"
    sees = np.array([step.observation.environment_state[3] > 0 for step in driven.steps])
    unseen_for = 0
    for seen, tracks in zip(sees, tracking, strict=True):
        unseen_for = 0 if seen else unseen_for + 1
        assert not (tracks and unseen_for > 1.0 / TICK + 1), "it lets go a second after it has lost its target"
    errors = np.array([step.truth.task_error for step in driven.steps])
    followed = [i for i in range(50, len(tracking)) if tracking[i - 50 : i + 1].all() and sees[i - 50 : i + 1].all()]
    assert np.rad2deg(np.median(errors[followed])) < 4.0


def test_idle_breathes_without_a_pause_and_comes_back_to_the_middle(drive):
    turned = NEUTRAL.copy()
    turned[[YAW, BODY_YAW]] = 1.2, 0.8
    driven = drive("idle", seconds=30.0, start=turned)
    assert_unlimited(driven)
    assert_smooth(driven)
    late = driven.states[-1000:]
    assert np.abs(late[:, BODY_YAW]).max() < 0.05
    assert np.ptp(late[:, 2]) > 0.005
    assert np.abs(late[:, YAW]).max() < np.deg2rad(8)


@pytest.mark.parametrize(("yaw", "pitch"), [(40, 10), (-120, -10), (170, 0), (0, 20)])
def test_it_looks_in_a_given_direction_and_stays(drive, yaw, pitch):
    driven = drive(f"look-at:{yaw},{pitch}", seconds=3.0 + abs(yaw) / 25)
    assert_unlimited(driven)
    state = np.rad2deg(driven.states[-50:])
    np.testing.assert_allclose(state[:, YAW], yaw, atol=3.0)
    np.testing.assert_allclose(state[:, PITCH], pitch, atol=3.0)
    assert np.ptp(driven.requests[-50:], axis=0).max() < 1e-3


def test_it_looks_at_the_target_and_keeps_still_while_the_target_stays_near(drive):
    driven = drive("look-at", seconds=6.0)
    assert_unlimited(driven)
    assert np.rad2deg(driven.steps[-1].truth.task_error) < 5.0
    assert np.ptp(driven.requests[-50:, [YAW, PITCH]], axis=0).max() < np.deg2rad(1.0)


def test_it_looks_again_at_a_target_that_has_left_its_gaze(drive):
    driven = drive("look-at", task="track", seconds=12.0)
    assert_unlimited(driven)
    errors = np.rad2deg([step.truth.task_error for step in driven.steps[150:]])
    assert np.median(errors) < 10.0


@pytest.mark.parametrize("seed", SEEDS)
def test_it_turns_to_a_voice_and_rests_when_nobody_speaks(drive, seed):
    driven = drive("sound-orient", "idle", seconds=8.0, seed=seed)
    assert_unlimited(driven)
    errors = np.rad2deg([step.truth.task_error for step in driven.steps])
    assert np.median(errors[-100:]) < 10.0
    assert driven.changes[-1].after == "sound-orient"


@pytest.mark.parametrize("tempo", [1.2, 2.0])
def test_it_nods_on_every_other_beat(drive, tempo):
    driven = drive("dance", "idle", seconds=10.0, tempo=(tempo, tempo))
    assert_unlimited(driven)
    late = driven.steps[-300:]
    heard = [step.next_observation.environment_state for step in late]
    phase = np.unwrap([np.arctan2(sine, cosine) + 2 * np.pi * hz * age for sine, cosine, hz, _, age in heard])
    pitch = driven.states[-300:, PITCH]
    swing = 2 * np.mean((pitch - pitch.mean()) * np.exp(-1j * phase / 2))
    off = abs(np.angle(swing)) % np.pi  # on every other beat, whichever of the two
    assert min(off, np.pi - off) < np.pi / 6, "the head is down on the beat"
    assert abs(swing) > np.deg2rad(2.5)


def test_a_behaviour_is_stopped_at_once_and_the_next_one_drives(drive):
    stopped_at = 300

    def stop(tick, arbiter):
        if tick.index == stopped_at:
            arbiter.stop("track")
        if tick.index == 400:
            arbiter.allow("track")

    driven = drive("track", "idle", seconds=10.0, on_tick=stop)
    names = driven.drivers
    assert names[stopped_at - 1] == "track"
    assert set(names[stopped_at:400]) == {"idle"}
    assert names[400] == "track"
    assert_unlimited(driven)
    assert_smooth(driven)


def test_without_a_behaviour_that_wants_to_drive_the_robot_stays_where_it_is(drive):
    def stop(tick, arbiter):
        if tick.index == 250:
            arbiter.stop("track")

    driven = drive("track", seconds=7.0, on_tick=stop)
    assert driven.drivers[0] == HOLDING and driven.drivers[-1] == HOLDING
    np.testing.assert_array_equal(driven.requests[0], driven.start)
    assert np.ptp(driven.requests[280:], axis=0).max() == 0.0
