"""A policy under watchdogs: the robot holds still, then eases to neutral, and the episode ends with the cause in words.

What passes while the robot holds still, such as a camera that comes back, lets the policy drive again, but not again
and again. From the moment at which the robot eases to neutral it never does. An episode that is recorded or replayed
would be spoilt by that: it ends with the fault.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

import numpy as np

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL, Action, EndReason, Observation, Policy, Tick

SHORTEST_EASE = 1.0
"""Shortest time in which the robot eases to neutral, s."""
EASE_SPEED = 1.0
"""Mean speed of the axis that has furthest to go, rad/s; a third of what the limiter permits the head."""
_WELL_FOR = 0.2
"""Time without trouble after which the policy drives again, s."""
_HOLDS, _WITHIN = 3, 30.0
"""Times that the robot holds still within so many s and drives again, without brief faults. The next time it eases to
neutral at once."""


class Watchdog(Protocol):
    """Looks at each tick for one kind of fault."""

    patience: float
    """Time for which the robot holds still and waits for the fault to pass, s."""
    brief: float
    """Duration up to which a fault that passes does not count as one of those that end the run by their number, s."""
    starts_over: bool
    """Whether the policy starts as in a new episode once the fault has passed."""

    @property
    def error(self) -> type[KitError]:
        """What the run ends with if it does not pass."""
        ...

    def begin(self) -> None:
        """Forget the episode before."""
        ...

    def pause(self) -> None:
        """Take what comes next as following a pause."""
        ...

    def trouble(self, tick: Tick) -> str | None:
        """What is wrong now, in words, and what to do; None while all is well."""
        ...


class Stage(Enum):
    """What drives the robot."""

    DRIVING = "the policy drives"
    HOLDING = "the robot holds still"
    EASING = "the robot eases to neutral"
    RESTED = "the episode is over"
    CUT = "the episode was cut short"


class GuardedPolicy:
    """Another policy while all is well. ``guarded_rollout`` runs it.

    Args:
        policy: drives otherwise. After most faults it starts as in a new episode once the robot has held still.
        watchdogs: asked at each tick; the first that reports counts.
        note: receives a line when the robot holds still, and when it is driven again.
        now: a clock, s.
        resumes: whether the policy may drive again once a fault has passed. If not, a fault ends the episode at once.
    """

    def __init__(
        self,
        policy: Policy,
        watchdogs: Sequence[Watchdog],
        note: Callable[[str], None] = lambda text: None,
        now: Callable[[], float] = time.monotonic,
        *,
        resumes: bool = True,
    ) -> None:
        self._policy, self._watchdogs, self._note, self._now = policy, watchdogs, note, now
        self._resumes = resumes
        self.stage = Stage.DRIVING
        self._cause, self._watchdog = "", watchdogs[0] if watchdogs else None
        self._troubled = 0.0
        self._holds: deque[float] = deque(maxlen=_HOLDS + 1)
        self._held: Action = NEUTRAL
        self._eased, self._ease = 0, 1

    @property
    def driving(self) -> str:
        """What the watchdogs do, and why; empty while the policy drives."""
        return "" if self.stage is Stage.DRIVING else f"{self.stage.value}: {self._cause}"

    @property
    def fault(self) -> str:
        """What is wrong now, or has ended the episode; empty while the policy drives."""
        return "" if self.stage is Stage.DRIVING else self._cause

    def reset(self) -> None:
        """Begin an episode."""
        self._policy.reset()
        for watchdog in self._watchdogs:
            watchdog.begin()
        self.stage = Stage.DRIVING

    def act(self, observation: Observation) -> Action:
        """The policy's (9,) target, or where the watchdogs want the robot."""
        if self.stage in (Stage.DRIVING, Stage.HOLDING):
            target = self._policy.act(
                observation
            )  # also while its target does not count: it may be what has to recover
            if self.stage is Stage.DRIVING:
                return target
        share = min(self._eased / self._ease, 1.0)
        share = share * share * (3 - 2 * share)  # starts and ends without a jerk
        return np.asarray(self._held + share * (NEUTRAL - self._held))

    def on_tick(self, tick: Tick) -> None:
        """Ask the watchdogs."""
        if self.stage is Stage.EASING:
            self._eased += 1
            if self._eased > self._ease:
                self.stage = Stage.RESTED
        if self.stage in (Stage.DRIVING, Stage.HOLDING):
            self._look(tick)

    def pause(self) -> None:
        """Tell the watchdogs that the loop has been paused: a person who steps tick by tick misses none."""
        for watchdog in self._watchdogs:
            watchdog.pause()

    def stop(self) -> EndReason | None:
        """The end of an episode that cannot continue, or that is spoilt and to be run again."""
        return {Stage.RESTED: EndReason.STOPPED, Stage.CUT: EndReason.REDO}.get(self.stage)

    def raise_trouble(self, advice: str = "") -> None:
        """Raise what has ended the episode, or was wrong when it ended.

        Args:
            advice: a sentence to add.

        Raises:
            KitError: with the cause, in words.
        """
        if self.stage is not Stage.DRIVING and self._watchdog:
            raise self._watchdog.error(f"{self._cause}. {advice}" if advice else self._cause)

    def _look(self, tick: Tick) -> None:
        now = self._now()
        for watchdog in self._watchdogs:
            if cause := watchdog.trouble(tick):
                if not self._resumes:
                    self.stage, self._watchdog, self._cause = Stage.CUT, watchdog, cause
                    return
                if self.stage is Stage.DRIVING:
                    self.stage, self._watchdog = Stage.HOLDING, watchdog
                    self._held, self._eased = tick.action, 0
                    self._holds.append(now)
                    self._note(f"warning: {cause}. The robot holds still")
                self._cause, self._troubled = cause, now
                break
        if self.stage is not Stage.HOLDING or self._watchdog is None:
            return
        if now - self._troubled > _WELL_FOR:
            self.stage = Stage.DRIVING
            if self._troubled - self._holds[-1] <= self._watchdog.brief:
                self._holds.pop()
            if self._watchdog.starts_over:
                self._policy.reset()
            self._note("that has passed: the robot is driven again")
        elif now - self._holds[-1] > self._watchdog.patience or self._is_unsteady(now):
            furthest = float(np.abs(self._held - NEUTRAL).max())
            self.stage, self._eased = Stage.EASING, 0
            self._ease = round(CONTROL_HZ * max(SHORTEST_EASE, furthest / EASE_SPEED))

    def _is_unsteady(self, now: float) -> bool:
        """Whether the robot has held still again and again."""
        return len(self._holds) > _HOLDS and now - self._holds[0] < _WITHIN
