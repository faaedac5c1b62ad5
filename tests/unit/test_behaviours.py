"""Policies that are written: holding still, a person who intervenes, and behaviours of which one drives."""

import re
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachy_kit.runtime.behaviours.behaviour_kind import BEHAVIOUR_HZ, BehaviourContext, BehaviourKind
from reachy_kit.runtime.behaviours.behaviour_registry import (
    ENTRY_POINTS,
    behaviour_by_name,
    is_behaviour,
    known_behaviours,
)
from reachy_kit.runtime.behaviours.dance_behaviour import MAKERS_DANCES, RecordedDance
from reachy_kit.runtime.behaviours.driving.arbiter import HOLDING, Arbiter, RankedBehaviour
from reachy_kit.runtime.behaviours.driving.pose_follower import PoseFollower
from reachy_kit.runtime.behaviours.driving.seen_target import SeenTarget
from reachy_kit.runtime.behaviours.hold import HoldPolicy
from reachy_kit.runtime.behaviours.intervention import InterventionPolicy
from reachy_kit.runtime.behaviours.recorded_move import RecordedMove, write_move
from reachy_kit.runtime.behaviours.sound_orient_behaviour import SoundOrient
from reachy_kit.runtime.behaviours.track_behaviour import Track
from reachy_kit.runtime.behaviours.trained_policy import TrainedPolicy
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import NEUTRAL, YAW, Observation, Tick
from reachy_kit.runtime.perception.target import TARGET_FEATURES, TargetMemory
from reachy_kit.runtime.safety import CLASSROOM
from reachy_kit.runtime.watchdogs.loop_watchdogs import DecisionWatchdog
from reachy_kit.workflows.inputs.drivers import OpenDrivers

STATE, LAST_ACTION, HUMAN = NEUTRAL + 0.01, NEUTRAL + 0.02, NEUTRAL + 0.03


class Counting:
    """A policy whose actions count its decisions since its last reset."""

    def reset(self):
        self.decisions = 0

    def act(self, observation):
        self.decisions += 1
        return np.full(9, float(self.decisions))


def test_holding_keeps_the_action_in_force_not_where_the_robot_sags_to():
    policy = HoldPolicy()
    policy.reset()
    np.testing.assert_array_equal(policy.act(Observation(STATE, 0.0, last_action=LAST_ACTION)), LAST_ACTION)
    np.testing.assert_array_equal(policy.act(Observation(STATE, 0.0)), STATE)


def test_a_person_overrides_the_policy_which_starts_again_when_released():
    wishes = iter([None, None, HUMAN, HUMAN, None, None])
    policy = InterventionPolicy(Counting(), lambda: next(wishes))
    policy.reset()
    actions = [policy.act(Observation(STATE, 0.0)) for _ in range(6)]
    np.testing.assert_array_equal([action[0] for action in actions], [1, 2, HUMAN[0], HUMAN[0], 1, 2])


def test_a_new_episode_forgets_an_intervention():
    wishes = iter([HUMAN, None, None])
    policy = InterventionPolicy(Counting(), lambda: next(wishes))
    policy.reset()
    policy.act(Observation(STATE, 0.0))
    policy.reset()
    assert [policy.act(Observation(STATE, 0.0))[0] for _ in range(2)] == [1, 2]


def test_a_policy_that_hangs_is_overdue_unless_the_person_drives():
    wishes, hangs = iter([None, HUMAN, None]), Counting()
    hangs.overdue, hangs.is_planned = 0.7, False
    policy, waits = InterventionPolicy(hangs, lambda: next(wishes)), []
    policy.reset()
    for _ in range(3):
        policy.act(Observation(STATE, 0.0))
        waits.append((policy.overdue, policy.is_planned))
    assert waits == [(0.7, False), (0.0, False), (0.7, False)]


# Several behaviours: one drives


class Going:
    """A behaviour that wants to drive when it is told to, and turns the body to a place of its own."""

    features = ()
    carries_on = False

    def __init__(self, place, wants=True):
        self.place, self.wants = place, wants
        self.asked = self.started = self.wishes = 0

    def reset(self):
        pass

    def wants_to_drive(self, observation):
        self.wishes += 1
        return self.wants

    def start(self, observation, speed):
        self.started += 1

    def act(self, observation):
        self.asked += 1
        return NEUTRAL + self.place * np.eye(9)[6]


def arbitrate(*behaviours, on_change=lambda change: None):
    ranked = [RankedBehaviour(name, behaviour, lambda observation: None) for name, behaviour in behaviours]
    arbiter = Arbiter(ranked, 50, on_change)
    arbiter.reset()
    return arbiter


def decide(arbiter, decisions=1, action=NEUTRAL):
    """The actions of a robot that follows at once."""
    actions = []
    for index in range(decisions):
        action = arbiter.act(Observation(action, index / 50, last_action=action))
        actions.append(action)
    return np.array(actions)


def test_the_first_behaviour_that_wants_to_drive_is_the_only_one_that_is_asked():
    first, second = Going(0.0, wants=False), Going(0.0)
    arbiter = arbitrate(("first", first), ("second", second))
    for wants in (False, True, True, False):
        first.wants = wants
        before = first.asked, second.asked
        decide(arbiter)
        assert (first.asked - before[0], second.asked - before[1]) == ((1, 0) if wants else (0, 1))
    assert (first.wishes, second.wishes) == (4, 4)
    assert (first.started, second.started) == (1, 2)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from(["", "first", "second"])), max_size=40))
def test_exactly_one_drives_at_each_decision_whatever_they_want_and_whichever_is_stopped(moments):
    first, second = Going(0.3), Going(-0.3)
    changes = []
    arbiter = arbitrate(("first", first), ("second", second), on_change=changes.append)
    action = NEUTRAL
    for index, (first.wants, second.wants, stopped) in enumerate(moments):
        for name in arbiter.names:
            (arbiter.stop if name == stopped else arbiter.allow)(name)
        before = first.asked + second.asked
        action = arbiter.act(Observation(action, index / 50, last_action=action))
        expected = [name for name, wants in (("first", first.wants), ("second", second.wants)) if wants]
        expected = next((name for name in expected if name != stopped), HOLDING)
        assert arbiter.driving == expected
        assert first.asked + second.asked - before == (expected != HOLDING)
    assert sum(arbiter.decisions.values()) == len(moments)
    assert [change.before for change in changes[1:]] == [change.after for change in changes[:-1]]


def test_a_hand_over_is_smooth_and_arrives():
    near, far = Going(0.0), Going(1.0, wants=False)
    arbiter = arbitrate(("far", far), ("near", near))
    decide(arbiter, 5)
    far.wants = True
    there = decide(arbiter, 600)[:, 6]
    speeds = np.diff(there) * 50
    assert abs(there[-1] - 1.0) < 1e-9
    assert speeds.max() <= 0.4  # what the limiter lets pass of the body
    assert np.abs(np.diff(speeds)).max() < 0.02
    assert np.all(np.diff(there) > -1e-12)


def test_a_hand_over_in_the_midst_of_another_keeps_the_speed():
    here, there = Going(0.0), Going(1.0, wants=False)
    arbiter = arbitrate(("there", there), ("here", here))
    actions = [NEUTRAL]
    for index in range(400):
        there.wants = index % 60 >= 20
        actions.append(arbiter.act(Observation(actions[-1], index / 50, last_action=actions[-1])))
    speeds = np.diff(np.array(actions)[:, 6]) * 50
    assert np.abs(np.diff(speeds)).max() < 0.05
    assert np.abs(speeds).max() <= 0.4


class Following(Going):
    """Carries the motion on towards the middle, as the tracker does."""

    carries_on = True

    def start(self, observation, speed):
        self._follower = PoseFollower(50)
        self._follower.start(observation.action_in_force, speed)

    def act(self, observation):
        return self._follower.follow(NEUTRAL)


@pytest.mark.parametrize(("speed", "carried_on"), [(0.35, True), (3.0, False)])
def test_a_behaviour_that_carries_the_motion_on_takes_over_a_fast_one_without_a_jump(speed, carried_on):
    """A recorded dance or a bundle may move as fast as the limiter permits."""
    quick, calm = Going(0.0), Following(0.0, wants=False)
    arbiter = arbitrate(("calm", calm), ("quick", quick))
    actions = [NEUTRAL]
    for index in range(400):
        quick.place += speed / 50 * (30 <= index < 50)
        calm.wants = index >= 50
        actions.append(arbiter.act(Observation(actions[-1], index / 50, last_action=actions[-1])))
    body = np.array(actions)[:, 6]
    speeds = np.diff(body) * 50
    # The motion fades by a factor of e within 0.12 s; what is carried on slows down by a sixth of the limiter's most.
    assert np.abs(np.diff(speeds[49:])).max() < (0.1 if carried_on else 0.5)
    assert body[-1] == pytest.approx(0.0, abs=0.02)


def test_a_stopped_behaviour_does_not_decide_any_more_from_the_next_tick_on():
    going = Going(1.0)
    arbiter = arbitrate(("going", going))
    decide(arbiter, 100)
    asked = going.asked
    arbiter.stop("going")
    held = decide(arbiter, 50)
    assert going.asked == asked and arbiter.driving == HOLDING
    assert np.ptp(held[25:], axis=0).max() == 0.0


def test_keys_stop_a_behaviour_by_its_rank_and_let_it_drive_again():
    arbiter = arbitrate(("first", Going(0.1)), ("second", Going(0.2)))
    opened = OpenDrivers(arbiter, ())
    assert opened.describe_keys().endswith("1 first, 2 second")
    drivers = []
    for key in ("x", "1", "2", "1", "3"):
        said = opened.press(key)
        assert bool(said) == (key in "12")
        decide(arbiter)
        drivers.append(arbiter.driving)
    assert drivers == ["first", "second", HOLDING, "first", "first"]


def test_a_lone_driver_has_no_key_of_its_own():
    for alone in (arbitrate(("going", Going(0.0))), HoldPolicy()):
        opened = OpenDrivers(alone, ())
        assert (opened.describe_keys(), opened.press("1")) == ("", "")


def test_the_shares_count_what_came_before_a_start_in_mid_episode():
    """As after a watchdog's hold."""
    first = Going(0.0)
    arbiter = arbitrate(("first", first), ("second", Going(0.0)))
    decide(arbiter, 30)
    arbiter.reset()
    first.wants = False
    decide(arbiter, 10)
    assert OpenDrivers(arbiter, ()).shares() == {"first": 0.75, "second": 0.25}


def test_a_bundle_that_hangs_among_behaviours_is_noticed_while_it_drives():
    class Hanging(HoldPolicy):
        overdue = decision_age = 0.6
        is_planned = True

    trained, other = TrainedPolicy(Hanging(), (), 25, 50), Going(0.0, wants=False)
    arbiter = arbitrate(("other", other), ("trained", trained))
    watchdog = DecisionWatchdog(arbiter)
    tick = Tick(0, Observation(NEUTRAL, 0.0), NEUTRAL)
    assert (watchdog.trouble(tick), arbiter.decision_age) == (None, None)
    decide(arbiter)
    assert "has not decided for 0.6 s" in watchdog.trouble(tick)
    assert arbiter.decision_age == 0.6
    Hanging.is_planned = False
    assert watchdog.trouble(tick) is None, "the first plan may take seconds"
    other.wants = True
    decide(arbiter)
    assert (watchdog.trouble(tick), arbiter.decision_age) == (None, None)


@pytest.mark.parametrize("action", [None, np.zeros(8), np.full(9, np.nan)])
def test_a_behaviour_that_returns_nonsense_is_named(action):
    going = Going(0.0)
    going.act = lambda observation: action
    with pytest.raises(RefusedError, match="the behaviour going did not return nine finite numbers"):
        decide(arbitrate(("going", going)))


def test_a_trained_policy_among_behaviours_decides_at_its_own_rate_and_only_while_it_senses():
    seen = np.zeros(5)

    class Inner:
        decisions = 0

        def reset(self):
            self.decisions = 0

        def act(self, observation):
            self.decisions += 1
            return NEUTRAL + 0.02 * self.decisions * np.eye(9)[6]

    inner = Inner()
    trained = TrainedPolicy(inner, TARGET_FEATURES, 10, 50)
    ranked = [RankedBehaviour("trained", trained, lambda observation: seen)]
    arbiter = Arbiter(ranked, 50)
    arbiter.reset()
    decide(arbiter, 20)
    assert inner.decisions == 0 and arbiter.driving == HOLDING
    seen[3] = 1.0
    actions = decide(arbiter, 3 + 20)
    assert arbiter.driving == "trained"
    assert inner.decisions == 5
    assert np.all(np.diff(actions[3:, 6]) > 0)
    seen[3] = 0.0
    decide(arbiter, 49)
    assert arbiter.driving == "trained"
    decide(arbiter, 2)
    assert arbiter.driving == HOLDING


# What is sensed

MOMENTS = np.arange(1, 101) / 50
EARLY = 0.012
"""Age of the measurements of a decision, s: a frame may be newer by that."""


def seen_at(moments, frames):
    """Features of a target straight ahead in each of those frames that have arrived.

    Args:
        moments: times of the decisions, s.
        frames: (time of capture, bearing right of the axis in rad or None) of each frame, which arrives at once.
    """
    memory = TargetMemory()
    for moment in moments:
        captured, right = next(frame for frame in reversed(frames) if frame[0] <= moment + EARLY)
        yield memory.update(None if right is None else np.array([right, 0.0, 0.05]), captured, moment)


def test_a_frame_that_is_newer_than_the_measurements_counts_once_and_at_its_own_time():
    """Its age is reported as zero until the measurements are as new; the target stands still, and the head turns."""
    head = 0.5  # rad/s
    frames = [(-1.0, None), *((k / 30, head * k / 30) for k in range(1, 70))]
    seen, newer = SeenTarget(50), 0
    for moment, features in zip(MOMENTS, seen_at(MOMENTS, frames), strict=True):
        pose = NEUTRAL + head * moment * (np.arange(9) == YAW)
        seen.update(Observation(pose, moment, environment_state=features, last_action=pose))
        if any(moment < captured <= moment + EARLY for captured, _ in frames):
            newer += 1
        elif seen.direction.is_known:
            np.testing.assert_allclose([seen.direction.place, seen.direction.speed], 0.0, atol=1e-9)
    assert newer == 20


@pytest.mark.parametrize("detections", [1, 2])
def test_a_single_false_detection_does_not_draw_the_gaze(detections):
    """The daemon gives local programs ten frames per second, each of which is seen in five decisions."""
    frames = [(k / 10, 0.3 if 8 <= k < 8 + detections else None) for k in range(30)]
    track = Track(50)
    track.reset()
    wanted = [
        track.wants_to_drive(Observation(NEUTRAL, moment, environment_state=features, last_action=NEUTRAL))
        for moment, features in zip(MOMENTS, seen_at(MOMENTS, frames), strict=True)
    ]
    assert any(wanted) == (detections == 2)


def test_a_direction_that_is_newer_than_the_measurements_is_averaged_once():
    """The first few directions weigh the same."""
    orient, directions = SoundOrient(50), [0.1, 0.1, 0.1, 0.1, 0.1, 0.4]
    for index, right in enumerate(directions):
        for moment in 0.1 * index + np.arange(5) / 50:
            features = np.array([right, 1.0, 1.0, max(moment - (0.1 * index + 0.008), 0.0)])
            heard = Observation(NEUTRAL, moment, environment_state=features, last_action=NEUTRAL)
            orient.wants_to_drive(heard)
    orient.start(heard, np.zeros(9))
    target = [orient.act(heard) for _ in range(300)][-1]
    assert target[YAW] == pytest.approx(-np.mean(directions), abs=1e-3)


# Behaviours by name


def test_every_behaviour_has_a_line_of_its_own():
    known = {named.name: named.kind for named in known_behaviours()}
    assert list(known) == ["dance", "idle", "look-at", "sound-orient", "track"]
    assert all(kind.summary and "\n" not in kind.summary and len(kind.summary) < 110 for kind in known.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sing", "no behaviour is called 'sing'; there are dance, idle"),
        ("look-at:left", "look-at:left is not a direction; give degrees to the left and down"),
        ("look-at:200,0", "up to 180° to either side"),
        ("look-at:0,nan", "does not fit"),
        ("track:face", "track:face: the behaviour track takes no argument. What is looked at is --target face"),
        ("idle:slowly", "idle:slowly: the behaviour idle takes no argument"),
        ("sound-orient:", "takes no argument"),
        ("dance:tango", "dance:tango does not exist"),
        ("dance:none.json", "none.json cannot be read"),
    ],
)
def test_a_behaviour_that_does_not_exist_is_refused_in_words(text, said, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WrongUseError, match=re.escape(said)):
        named = behaviour_by_name(text)
        named.kind.open(BehaviourContext(named.argument))


def test_one_of_the_makers_dances_is_found_where_the_hub_keeps_it(monkeypatch, tmp_path):
    library = tmp_path / MAKERS_DANCES / "snapshots/abc"
    library.mkdir(parents=True)
    frames = np.array([NEUTRAL, NEUTRAL + 0.01 * np.eye(9)[3]])
    write_move(library / "tango.json", RecordedMove("tango", "", np.array([0.0, 0.5]), frames))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    dance = behaviour_by_name("dance:tango").kind.open(BehaviourContext("tango"))
    arbiter = arbitrate(("dance", dance))
    rolls = decide(arbiter, 200)[:, 3]
    assert rolls.max() == pytest.approx(0.01, abs=5e-4)
    assert np.count_nonzero((rolls[1:] < 1e-3) & (rolls[:-1] >= 1e-3)) >= 2, "it is played again and again"


SWING = 4.0
"""Angular frequency of a move's swing, rad/s."""


def swing(speed, drift):
    """A move that swings once, and ends at its greatest speed, so many rad from where it began."""
    times = np.linspace(0.0, 2 * np.pi / SWING, 158)
    poses = np.tile(NEUTRAL, (len(times), 1))
    poses[:, YAW] = speed / SWING * np.sin(SWING * times) + drift * times / times[-1]
    return RecordedMove("swing", "", times, poses)


@pytest.mark.parametrize("speed", [0.3, 1.0, 2.5])
def test_a_recorded_move_that_ends_while_it_moves_is_braked_on_its_way_back(speed):
    move = swing(speed, 0.3)
    yaws = decide(arbitrate(("dance", RecordedDance(move, BEHAVIOUR_HZ))), 130)[:, YAW]
    end = round(move.seconds * BEHAVIOUR_HZ)
    accelerations = np.abs(np.diff(yaws, 2)) * BEHAVIOUR_HZ**2
    assert accelerations[end - 5 :].max() < 0.6 * CLASSROOM.acceleration[YAW]
    assert 0.3 + speed**2 / 31 < yaws[end:].max() < 0.6, "it coasts beyond the last pose"
    assert yaws[-1] < yaws[end:].max() - 0.05, "it goes back"


def test_a_recorded_move_that_ends_where_it_began_is_repeated_without_a_pause():
    yaws = decide(arbitrate(("dance", RecordedDance(swing(1.0, 0.0), BEHAVIOUR_HZ))), 200)[:, YAW]
    speeds = np.diff(yaws) * BEHAVIOUR_HZ
    assert np.abs(np.diff(speeds))[5:].max() * BEHAVIOUR_HZ < 1.2 * SWING, "no more than the swing's own"


def test_a_behaviour_of_another_package(monkeypatch):
    kind = BehaviourKind("waits", lambda context: Going(0.0), argument="SECONDS")
    entry = EntryPoint("wait", "somewhere:KIND", ENTRY_POINTS)
    monkeypatch.setattr(EntryPoint, "load", lambda self: kind)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [entry] if group == ENTRY_POINTS else [])
    assert behaviour_by_name("wait:5") == ("wait", "5", kind)
    assert is_behaviour("wait:5") and not is_behaviour("waits")
    monkeypatch.setattr(EntryPoint, "load", lambda self: "something else")
    with pytest.raises(WrongUseError, match="somewhere:KIND is not a BehaviourKind"):
        behaviour_by_name("wait")
