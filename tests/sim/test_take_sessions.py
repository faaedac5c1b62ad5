"""Sessions of takes on a simulated robot, which a hand guides or which plays recorded moves."""

import itertools

import numpy as np
import pytest

from reachy_kit.runtime.behaviours.recorded_move import RecordedMove
from reachy_kit.runtime.errors import NoRobotError
from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL, YAW
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.recording.schema import ACTION
from reachy_kit.runtime.recording.takes.live_view import NO_SCREEN, LiveView, Phase
from reachy_kit.runtime.recording.takes.take_keys import TakeKeys
from reachy_kit.runtime.recording.takes.take_session import TakeSession
from reachy_kit.runtime.robots.guiding.guidable import GuidanceMode
from reachy_kit.runtime.teleop.hand_device import HandTeleoperator
from reachy_kit.runtime.teleop.move_device import MoveTeleoperator
from reachy_kit.runtime.teleop.take_over import TakeOver
from reachy_kit.runtime.teleop.teleoperator import TakeEvent
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy
from reachy_sim.robot import SimRobot, SimRobotConfig

HZ = 25
TURNED = NEUTRAL.copy()
TURNED[YAW] = 0.4


class Turning:
    """An expert that turns the head."""

    def reset(self):
        pass

    def act(self, observation):
        return TURNED


class Memory:
    """A sink that keeps the frames of each episode, and notes something of the moment at which it stores."""

    layout = DatasetLayout("task", "Do it.", (), (), HZ)
    video_file = None

    def __init__(self, note=lambda: None):
        self.note, self.notes, self.stored = note, [], []

    @property
    def episodes(self):
        return len(self.stored)

    def write(self, frames, labels: EpisodeLabels, video=None):
        self.notes.append(self.note())
        self.stored.append(frames)

    def take_back(self):
        self.stored.pop()


class Featureless:
    """A perception without features."""

    names = ()

    def reset(self, seed):
        pass

    def perceive(self, observation):
        return np.zeros(0)


def session(robot, device, sink, view=None, keys=None, **options):
    return TakeSession(
        robot, device, EpisodeRecorder(sink), keys or TakeKeys(None), view or LiveView("device", "sim", HZ), NO_SCREEN,
        [EpisodeLabels("Do it.")], perception=Featureless(), **options,
    )  # fmt: skip


def test_the_head_is_held_before_a_take_is_saved_and_the_screen_says_what_keeps_it_up():
    robot = SimRobot(SimRobotConfig(gravity_compensation=False))
    device, view = HandTeleoperator(HZ, Turning()), LiveView("hand", "sim", HZ)
    sink = Memory(lambda: (robot.guidance, view.phase, view.reason))
    shown, follow = set(), view.follow

    def watch(tick):
        follow(tick)
        shown.add((robot.guidance, view.phase, view.reason))

    view.follow = watch
    device.connect(robot)
    session(robot, device, sink, view).run(itertools.count(), 1)
    assert sink.notes == [(None, Phase.SAVING, "the motors hold the head")]
    assert (GuidanceMode.LIMP, Phase.RECORDING, "the motors are off: do not let go of the head") in shown
    assert (None, Phase.RECORDING, "the motors hold the head") in shown, "it let go without a hand"


class Person:
    """Keys of a person: each event once, in its phase and with its number of episodes; a session that hangs is left."""

    def __init__(self, view, sink, wants):
        self.view, self.sink, self.wants, self.patience = view, sink, list(wants), 5000

    def events(self):
        self.patience -= 1
        if self.patience < 0:
            return [TakeEvent.STOP_NOW]
        if self.wants and self.wants[0][:2] == (self.view.phase, self.sink.episodes):
            return [self.wants.pop(0)[2]]
        return []


def yaws(sink):
    return [frames[-1][ACTION][YAW] for frames in sink.stored]


def turn(yaw):
    pose = NEUTRAL.copy()
    pose[YAW] = yaw
    return RecordedMove(f"turn {yaw}", "", np.array([0.0, 1.0]), np.array([pose, pose]))


def test_a_library_is_recorded_whole_whatever_is_discarded_or_taken_back():
    sink, view = Memory(), LiveView("move", "sim", HZ)
    wants = [(Phase.RECORDING, 0, TakeEvent.DISCARD), (Phase.READY, 1, TakeEvent.REDO)]
    person = Person(view, sink, [*wants, (Phase.RECORDING, 1, TakeEvent.REDO)])
    session(SimRobot(), MoveTeleoperator([turn(0.2), turn(0.4)]), sink, view, person).run(itertools.count(), 3)
    assert not person.wants
    np.testing.assert_allclose(yaws(sink), [0.2, 0.4, 0.2], atol=0.02)


class Broken:
    """A watchdog that reports a fault from half a second on; its ticks are the clock."""

    patience, brief, starts_over, error = 0.5, 0.0, True, NoRobotError

    def __init__(self):
        self.ticks = 0

    def begin(self):
        self.ticks = 0

    def pause(self):
        pass

    def now(self):
        return self.ticks / CONTROL_HZ

    def trouble(self, tick):
        self.ticks += 1
        return "the camera is broken" if self.now() > 0.5 else None


class Device(Turning):
    """A person's device that turns the head."""

    name, controls, lost = "device", (), None

    def events(self):
        return []


def corrected_session(*wants):
    broken, sink, view = Broken(), Memory(), LiveView("device", "sim", HZ)
    device = TakeOver(GuardedPolicy(Turning(), [broken], view.say, broken.now), Device())
    person = Person(view, sink, [(Phase.READY, 0, TakeEvent.START), *wants])
    return session(SimRobot(), device, sink, view, person, seconds=4.0, take_over=device), sink, view


def test_a_fault_while_a_policy_drives_ends_the_take_with_its_cause():
    takes, sink, view = corrected_session()
    with pytest.raises(NoRobotError, match="the camera is broken"):
        takes.run(itertools.count(), 1)
    assert "holds still" in view.messages[0]
    assert not sink.stored


def test_a_person_who_has_taken_over_drives_without_the_policys_watchdogs():
    takes, sink, view = corrected_session((Phase.RECORDING, 0, TakeEvent.TAKE_OVER))
    takes.run(itertools.count(), 1)
    assert len(sink.stored) == 1
    assert not any("broken" in message for message in view.messages)


class Faulty(Broken):
    """A watchdog that reports a fault between two of its ticks, counted over all takes."""

    patience = 1e9

    def __init__(self, first, last):
        self.first, self.last, self.ticks = first, last, 0

    def begin(self):
        pass

    def pause(self):
        pass

    def trouble(self, tick):
        self.ticks += 1
        return "the camera is broken" if self.first <= self.ticks < self.last else None


def guarded_session(watchdog, *wants, **options):
    sink, view = Memory(), LiveView("device", "sim", HZ)
    person = Person(view, sink, [(Phase.READY, 0, TakeEvent.START), *wants])
    takes = session(SimRobot(), Device(), sink, view, person, seconds=2.0, watchdogs=[watchdog], **options)
    return takes, sink, view


def test_a_take_in_which_a_fault_arises_is_not_kept_and_its_seed_is_recorded_again():
    takes, sink, view = guarded_session(Faulty(50, 51), (Phase.READY, 0, TakeEvent.START))
    takes.run(itertools.count(), 1)
    assert view.messages[0] == "take 0 was not kept: the camera is broken. Record it again"
    assert view.messages[-1].startswith("take 0 kept as episode 0")
    assert len(sink.stored) == 1 and len(sink.stored[0]) == 2 * HZ


def test_the_third_take_in_a_row_that_a_fault_spoils_ends_the_session():
    class EachTime(Faulty):
        def begin(self):
            self.ticks = 0

    sink, view = Memory(), LiveView("move", "sim", HZ)
    device = MoveTeleoperator([turn(0.2)])
    takes = session(SimRobot(), device, sink, view, seconds=2.0, watchdogs=[EachTime(30, 31)])
    with pytest.raises(NoRobotError, match=r"the camera is broken\. The takes before are kept"):
        takes.run(itertools.count(), 1)
    assert len(view.messages) == 3


def test_no_take_starts_while_a_fault_lasts_and_the_screen_names_it():
    watchdog = Faulty(1, 30)
    takes, sink, view = guarded_session(watchdog)
    asked, shown = [], set()
    events = takes._keys.events

    def impatient():
        asked.append(view.phase)
        shown.add(view.reason)
        return [*events(), *([TakeEvent.START] if len(asked) % 5 == 0 and view.phase is Phase.READY else [])]

    takes._keys.events = impatient
    takes.run(itertools.count(), 1)
    assert "the camera is broken" in shown
    assert asked.index(Phase.RECORDING) > 30
    assert len(sink.stored) == 1


def test_a_fault_that_does_not_pass_between_takes_ends_the_session_and_keeps_the_takes_before():
    takes, sink, view = guarded_session(Broken())
    with pytest.raises(NoRobotError, match=r"the camera is broken\. The takes before are kept; give the same command"):
        takes.run(itertools.count(), 1)
    assert "holds still" in view.messages[-1]
    assert not sink.stored


def test_moves_that_the_time_limit_cuts_off_follow_each_other():
    sink, view = Memory(), LiveView("move", "sim", HZ)
    person = Person(view, sink, [])
    device = MoveTeleoperator([turn(0.2), turn(0.4)])
    session(SimRobot(), device, sink, view, person, seconds=0.8).run(itertools.count(), 2)
    np.testing.assert_allclose(yaws(sink), [0.2, 0.4], atol=0.05)
