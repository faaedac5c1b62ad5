"""Takes, one after another: the robot waits for the person, records a take, and waits again.

Between takes the robot stands where the next one starts, and answers a stored take with its antennas; during a take
they belong to the action. What a watchdog reports in a take ends it, and it is not kept. While that lasts no take
starts. What does not pass within the watchdog's patience ends the session, and so does the third such take in a row.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import EndReason, Episode, Perception, Robot, Subscriber, Tick, World
from reachy_kit.runtime.recording.labels import EpisodeLabels
from reachy_kit.runtime.recording.recorder import EpisodeRecorder
from reachy_kit.runtime.recording.takes.antenna_signal import AntennaSignal
from reachy_kit.runtime.recording.takes.live_view import LiveView, Phase, SessionScreen
from reachy_kit.runtime.robots.guiding.guidable import Guidable, describe_guidance
from reachy_kit.runtime.robots.loop_rate import REFUSED, describe_delay, is_late
from reachy_kit.runtime.robots.speaking.tones import Cue
from reachy_kit.runtime.teleop.take_over import TakeOver
from reachy_kit.runtime.teleop.teleoperator import (
    GuidingTeleoperator,
    HoldingAtEnd,
    PlayingTeleoperator,
    TakeEvent,
    Teleoperator,
    guided_take,
)
from reachy_kit.runtime.watchdogs.guarded_policy import GuardedPolicy, Watchdog
from reachy_kit.runtime.watchdogs.guarded_rollout import guarded_rollout

_MARKS = {TakeEvent.SUCCESS: True, TakeEvent.FAILURE: False}
_ENDS = {
    TakeEvent.START: EndReason.COMPLETED,  # the same key or button again
    TakeEvent.STOP: EndReason.COMPLETED,
    TakeEvent.SUCCESS: EndReason.COMPLETED,
    TakeEvent.FAILURE: EndReason.COMPLETED,
    TakeEvent.REDO: EndReason.REDO,
    TakeEvent.DISCARD: EndReason.DISCARDED,
    TakeEvent.STOP_NOW: EndReason.STOPPED,
}
"""How an event ends a take."""
_SHORTEST = 0.7
"""Time in which the key that began a take does not end it, s: a key that is held repeats after half a second."""
_SPOILT = 3
"""Takes in a row that a fault spoils before the session ends: a device that plays would begin again and again."""
_TO_CONTINUE = "The takes before are kept; give the same command again to continue"
_PAUSE_POLL = 0.02
"""Time between two looks at a lost device, s."""


class TakeEvents(Protocol):
    """What a person wants of the recording: by the terminal's keys, or over the network."""

    def events(self) -> Sequence[TakeEvent]:
        """Events since the last call."""
        ...


class TakeSession:
    """A person's takes on an open robot.

    Args:
        robot: connected.
        device: connected to that robot.
        recorder: stores the takes.
        keys: of the terminal, or what stands for them.
        view: shows what happens.
        screen: signals the start and the end of a take.
        labels: of the takes, one for each instruction.
        seconds: length of a take; None = until the person stops it.
        perception: fills ``environment_state``.
        world: ground truth, where there is one.
        take_over: the device, where a policy drives until the person takes over.
        watchdogs: look at each tick, in takes and between them.
    """

    def __init__(
        self,
        robot: Robot,
        device: Teleoperator,
        recorder: EpisodeRecorder,
        keys: TakeEvents,
        view: LiveView,
        screen: SessionScreen,
        labels: Sequence[EpisodeLabels],
        seconds: float | None = None,
        perception: Perception | None = None,
        world: World | None = None,
        take_over: TakeOver | None = None,
        watchdogs: Sequence[Watchdog] = (),
    ) -> None:
        self._robot, self._device, self._recorder = robot, device, recorder
        self._perception, self._world, self._take_over = perception, world, take_over
        self._keys, self._view, self._screen = keys, view, screen
        self._labels, self._seconds = labels, seconds
        self._label = 0
        self._end: EndReason | None = None
        self._between = AntennaSignal()
        self._standing = GuardedPolicy(self._between, watchdogs, view.say)
        self._driving = GuardedPolicy(device, watchdogs, resumes=False)
        self._can_redo, self._spoilt = False, 0
        self.takes: list[Episode] = []
        """Every take that was stored, in order."""

    def run(self, seeds: Iterator[int], wanted: int) -> None:
        """Record takes until the dataset holds as many episodes as are wanted, or the person ends the session.

        Args:
            seeds: of the takes; one that is redone has the same seed again.
            wanted: episodes in the dataset.

        Raises:
            RefusedError: the seeds are used up.
            KitError: the disk cannot be written, the robot is lost, or a watchdog has ended a take.
        """
        self._choose(0)
        seed = next(seeds, None)
        while self._recorder.episodes < wanted:
            if seed is None:
                raise RefusedError("the seeds of this recording are used up. Record into another folder with --out")
            reason = self._wait(seed)
            if reason is EndReason.REDO:
                seeds, seed = itertools.chain([seed], seeds), self._take_back()
                continue
            if reason is EndReason.COMPLETED:
                reason = self._take(seed)
            if reason is EndReason.STOPPED:
                return
            if reason is not EndReason.REDO:
                seed = next(seeds, None)

    def _take_back(self) -> int:
        """Remove the last take from the dataset, and give its seed."""
        self._recorder.take_back()
        take, self._can_redo = self.takes.pop(), False
        self._view.episodes = self._recorder.episodes
        self._view.say(f"take {take.seed} removed; record it again")
        return take.seed

    def _wait(self, seed: int) -> EndReason:
        """Stand at the start pose until the person starts the take or ends the session."""
        self._view.phase, self._end = Phase.READY, None
        if isinstance(self._device, PlayingTeleoperator):
            self._device.prepare_take(self._recorder.episodes)
        episode = guarded_rollout(
            self._robot,
            self._standing,
            seconds=None,
            policy_hz=self._view.hz,
            seed=seed,
            perception=self._perception,
            world=self._world,
            on_tick=self._tick_between,
            stop=lambda: self._end,
        )
        if self._standing.stop():
            self._standing.raise_trouble(_TO_CONTINUE)
        return episode.end_reason

    def _take(self, seed: int) -> EndReason:
        """Record one take; says how the session continues."""
        before, self._end = self._recorder.episodes, None
        self._recorder.labels = self._labels[self._label]
        with guided_take(self._device) as self._recorder.motion_delay:
            episode = guarded_rollout(
                self._robot,
                self._driving,
                seconds=self._seconds,
                policy_hz=self._view.hz,
                seed=seed,
                perception=self._perception,
                world=self._world,
                subscribers=self._subscribers(),
                on_tick=self._tick_take,
                stop=self._stop,
            )
        if self._take_over:
            self._take_over.raise_trouble()
        self._screen.signal(Cue.END)
        self._view.episodes = self._recorder.episodes
        kept = self._recorder.episodes > before
        self._can_redo = self._between.due = kept
        if kept:
            self.takes.append(episode)
        self._view.say(self._outcome(episode, kept=kept))
        self._spoilt = self._spoilt + 1 if self._driving.fault else 0
        if self._spoilt == _SPOILT:
            self._driving.raise_trouble(_TO_CONTINUE)
        again = episode.end_reason is EndReason.COMPLETED and not kept and not self._recorder.is_uncorrected
        return EndReason.REDO if again else episode.end_reason

    def _subscribers(self) -> list[Subscriber]:
        """The recorder last: before it saves, the view shows so, and a robot that was guided holds itself."""
        if isinstance(self._device, GuidingTeleoperator):
            return [self._view, HoldingAtEnd(self._device, self._show_grip), self._recorder]
        return [self._view, self._recorder]

    def _show_grip(self) -> None:
        """Show what keeps up a head that a hand guides; nothing where none does."""
        self._view.reason = ""
        if isinstance(self._device, GuidingTeleoperator) and isinstance(self._robot, Guidable):
            self._view.reason = describe_guidance(self._robot.guidance)

    def _outcome(self, episode: Episode, *, kept: bool) -> str:
        """What became of a take, in words."""
        name = f"take {episode.seed}"
        if self._driving.fault:
            return f"{name} was not kept: {self._driving.fault}. Record it again"
        if kept:
            mark = self._recorder.labels.success
            success = episode.success if mark is None else mark
            result = "" if success is None else ", success" if success else ", failure"
            remark = f". {self._recorder.remark}" if self._recorder.remark else ""
            length = f"{episode.nominal_seconds:.1f} s"
            return f"{name} kept as episode {self._recorder.episodes - 1}: {length}{result}{remark}"
        if episode.end_reason is EndReason.COMPLETED and self._recorder.is_uncorrected:
            return f"{name} was not kept: nothing was corrected"
        if is_late(episode, REFUSED):
            return f"{name} was not kept: it {describe_delay(episode)}. Record it again"
        if self._recorder.remark:
            return f"{name} was not kept: {self._recorder.remark}"
        if episode.end_reason is EndReason.COMPLETED:
            return f"{name} was not kept: it has no frames. Record it again"
        return f"{name} {'discarded; record it again' if episode.end_reason is EndReason.REDO else 'discarded'}"

    def _tick_between(self, tick: Tick) -> None:
        self._view.follow(tick)
        lost = self._device.lost or self._standing.fault
        self._show_grip()
        self._view.reason = lost or self._view.reason
        for event in self._events():
            if event is TakeEvent.START and not lost:
                self._end = EndReason.COMPLETED
            elif event is TakeEvent.STOP_NOW:
                self._end = EndReason.STOPPED
            elif event is TakeEvent.REDO and self._can_redo:
                self._end = EndReason.REDO
            elif event is TakeEvent.NEXT_TASK:
                self._choose(self._label + 1)
            if self._end:
                return

    def _tick_take(self, tick: Tick) -> None:
        if tick.index == 0:  # the robot stands at its start pose
            self._view.phase = Phase.RECORDING
            self._screen.signal(Cue.BEGIN)
        self._view.follow(tick)
        if self._take_over:
            self._take_over.on_tick(tick)
        self._handle()
        while self._device.lost and self._end is None:
            self._view.phase, self._view.reason = Phase.PAUSED, self._device.lost
            time.sleep(_PAUSE_POLL)
            self._handle()
        if self._view.phase is Phase.PAUSED:
            self._view.phase = Phase.RECORDING
        self._show_grip()

    def _stop(self) -> EndReason | None:
        return self._end or (self._take_over.stop() if self._take_over else None)

    def _handle(self) -> None:
        """Take note of how the person ends a take."""
        for event in self._events():
            if event is TakeEvent.START and self._view.seconds < _SHORTEST:
                continue
            if event in _ENDS and self._end is None:
                self._end = _ENDS[event]
                if event in _MARKS:
                    self._recorder.labels = replace(self._recorder.labels, success=_MARKS[event])
            elif event is TakeEvent.TAKE_OVER and self._take_over:
                self._take_over.toggle()

    def _events(self) -> Sequence[TakeEvent]:
        return list(itertools.chain(self._keys.events(), self._device.events()))

    def _choose(self, index: int) -> None:
        self._label = index % len(self._labels)
        self._view.instruction = self._labels[self._label].instruction
