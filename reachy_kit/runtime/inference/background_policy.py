"""Inference beside the control loop: the loop takes what a thread has planned, and never waits for it.

The newest observations are handed over when a plan is due; those that came in the meantime go along, so that the
policy's history has no gaps. A plan that arrives late is carried out from the action on that is due now, and follows
the one before without a jump (``chunk_handover``). If a plan runs out before the next one has come, its last target
holds. A policy that answers at once acts exactly as it does in the loop.

Try it: reachy-kit run look_at.bundle --robot daemon
"""

import contextlib
import statistics
import threading
import time
from collections import deque
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from reachy_kit.runtime.background_thread import lower_priority
from reachy_kit.runtime.inference.chunk_handover import ChunkHandover, DecisionClock
from reachy_kit.runtime.inference.chunked import ChunkedPolicy, Planner, ResidualPolicy
from reachy_kit.runtime.interface import Action, Array, Observation, Policy

PATIENCE = 0.004
"""Longest wait of a decision for a policy that usually answers at once, s; a fifth of a tick. The chunk policy takes
less than 1 ms. A slower policy is not waited for."""
_RECENT = 9
"""Plans whose median time says how fast the policy is."""
_REMEMBERED = 1000
"""Plans whose time is remembered for the summary."""
_GAP = 0.3
"""Time between two decisions from which on they do not follow on each other, s: the robot was paused, lost, or driven
by something else, and what was planned before is out of date."""
_SLOW = 0.05
"""Share of the decisions without a plan for their time above which people are warned."""
_CLOSING = 10.0
"""Longest wait for the inference in progress when the policy is closed, s."""


@dataclass(frozen=True)
class InferenceSummary:
    """How inference kept up with the control loop."""

    plans: int
    """Number of plans."""
    median: float
    """Median time for one, s; NaN without plans."""
    slowest: float
    """99th percentile of that time, s; NaN without plans."""
    held: float
    """Share of the decisions that found no plan for their time, so that the robot held its last target."""

    def text(self) -> str:
        """A line for people."""
        line = f"inference: {1e3 * self.median:.1f} ms per plan (99 %: {1e3 * self.slowest:.1f} ms)"
        line = line if self.plans else "inference: no plan was finished"
        return f"{line}; the robot waited for a plan in {100 * self.held:.0f} % of the decisions"

    @property
    def is_slow(self) -> bool:
        """Whether the policy is too slow for this computer."""
        return self.held > _SLOW

    def warning(self) -> str:
        """What to say of a policy that is too slow."""
        return (
            f"the policy is too slow for this computer: {self.text().removeprefix('inference: ')}. Close other "
            "programs, or train a smaller policy"
        )

    def summary(self) -> dict[str, float | int | None]:
        """The same for scripts."""
        median, slowest = (round(1e3 * value, 2) if self.plans else None for value in (self.median, self.slowest))
        return {"plans": self.plans, "median_ms": median, "p99_ms": slowest, "held": round(self.held, 4)}


class _Request(NamedTuple):
    """What the thread is to plan."""

    observations: tuple[Observation, ...]
    """Those since the request before, oldest first."""
    step: int
    """Number of the decision on the last of them."""
    episode: int
    round: int
    """Counts episodes, and pauses within them."""


class _Plan(NamedTuple):
    """What the thread has planned."""

    step: int
    """Number of the decision whose observation it answers."""
    captured: float
    """Time of that observation, s on the robot's clock."""
    chunk: Array


class BackgroundPolicy:
    """A policy whose inference runs in a thread of its own. ``close`` ends the thread.

    Args:
        planner: used by the thread alone.
        hz: decisions per second.
        patience: longest wait of a decision for a policy that usually answers within that time, s.
    """

    def __init__(self, planner: Planner, hz: int, patience: float = PATIENCE) -> None:
        self._planner, self._hz, self._patience = planner, hz, patience
        self._clock, self._handover = DecisionClock(hz), ChunkHandover(hz)
        self._changed = threading.Condition()
        self._unplanned: deque[Observation] = deque(maxlen=planner.n_obs_steps)
        self._request: _Request | None = None
        self._working = self._stopped = False
        self._episode = self._round = 0
        self._finished: _Plan | None = None
        self._error: BaseException | None = None
        self._durations: deque[float] = deque(maxlen=_REMEMBERED)
        self._usual = 0.0
        self._plans = self._decisions = self._decisions_held = 0
        self.last_inference_seconds: float | None = None
        """Time that the last plan took, s; None before the first."""
        self.decision_age = 0.0
        """Age of the observation that the target in force answers, s; before the first plan, time without one."""
        self.overdue = 0.0
        """Time for which the robot has held its last target because no plan has come, s."""
        self._begin()
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def _begin(self) -> None:
        """Forget what was planned: a plan in progress answers a situation that has passed."""
        self._in_force: _Plan | None = None
        self._handover.reset()
        self._waited_at: Action | None = None
        self._since: float | None = None
        self._last_captured: float | None = None
        with self._changed:
            self._round += 1
            self._finished = None

    def reset(self) -> None:
        """Forget the episode before."""
        self._begin()
        self._clock.reset()
        self.decision_age = self.overdue = 0.0
        with self._changed:
            self._episode += 1
            self._request = None
            self._unplanned.clear()

    def act(self, observation: Observation) -> Action:
        """The (9,) target that is due now.

        Raises:
            BaseException: whatever the policy raised in its thread.
        """
        captured = observation.capture_time
        if self._last_captured is not None and captured < self._last_captured:
            self.reset()  # a robot whose clock began again
        elif self._last_captured is not None and captured - self._last_captured > _GAP:
            self._begin()
        self._last_captured = captured
        self._since = captured if self._since is None else self._since
        step = self._clock.count(captured)
        with self._changed:
            self._unplanned.append(observation)
            self._follow_finished(step, observation)
            if step >= self._replan_at() and not (self._request or self._working):
                self._request = _Request(tuple(self._unplanned), step, self._episode, self._round)
                self._unplanned.clear()
                self._changed.notify_all()
                if self._usual < self._patience:
                    self._changed.wait_for(lambda: not (self._request or self._working), self._patience)
                    self._follow_finished(step, observation)
        target = self._handover.target(step)
        if target is None:
            target = self._waited_at = self._waiting_pose(observation)
        self.decision_age = captured - (self._in_force.captured if self._in_force else self._since)
        planned = len(self._in_force.chunk) / self._hz if self._in_force else 0.0
        self.overdue = max(self.decision_age - planned, 0.0)
        self._decisions += 1
        self._decisions_held += self._in_force is None or step - self._in_force.step >= len(self._in_force.chunk)
        return target

    def _follow_finished(self, step: int, observation: Observation) -> None:
        """Put a finished plan in force."""
        if self._error is not None:
            raise self._error
        plan, self._finished = self._finished, None
        if plan is not None:
            self._in_force = plan
            self._handover.follow(plan.chunk, plan.step, step, self._waiting_pose(observation))

    def _waiting_pose(self, observation: Observation) -> Action:
        """(9,) where the robot stays until there is a plan: what was in force when it began to wait."""
        return observation.action_in_force if self._waited_at is None else self._waited_at

    def _replan_at(self) -> int:
        """Number of the decision at which the next plan is begun, so that it comes in time."""
        if self._in_force is None:
            return 0
        lead = 0 if self._usual < self._patience else ceil(self._usual * self._hz)
        return self._in_force.step + self._planner.replan_after - lead

    @property
    def is_planned(self) -> bool:
        """Whether a plan has come since the episode began, or since a pause in it."""
        return self._in_force is not None

    def summary(self) -> InferenceSummary:
        """How inference kept up, over all decisions."""
        with self._changed:
            durations = list(self._durations)
        median, slowest = np.quantile(durations, [0.5, 0.99]) if durations else (np.nan, np.nan)
        return InferenceSummary(
            self._plans, float(median), float(slowest), self._decisions_held / max(self._decisions, 1)
        )

    def close(self) -> None:
        """End the thread, after the plan that it works on. Safe to call twice.

        Close it when the robot lies down already: a policy that does not answer is waited for, ten seconds at most.
        """
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(_CLOSING)

    def _run(self) -> None:
        lower_priority()  # where processors are few, the loop comes first
        episode = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._request or self._stopped)
                if self._stopped or self._request is None:
                    return
                request, self._request, self._working = self._request, None, True
            started = time.perf_counter()
            try:
                if request.episode != episode:
                    self._planner.reset()
                    episode = request.episode
                chunk = self._planner.plan(request.observations, request.step)
            except BaseException as error:  # raised again in the control loop
                with self._changed:
                    self._error, self._working = error, False
                    self._changed.notify_all()
                return
            with self._changed:
                self._note(time.perf_counter() - started)
                if request.round == self._round:
                    self._finished = _Plan(request.step, request.observations[-1].capture_time, chunk)
                self._working = False
                self._changed.notify_all()

    def _note(self, seconds: float) -> None:
        self._durations.append(seconds)
        self._plans += 1
        self.last_inference_seconds = seconds
        self._usual = statistics.median(list(self._durations)[-_RECENT:])


def infer_beside(policy: Policy, hz: int, when_at_rest: contextlib.ExitStack) -> Policy:
    """A policy that plans ahead, in the background; any other policy as it is.

    Args:
        policy: any.
        hz: decisions per second.
        when_at_rest: ends the thread; it closes after the robot has come to rest.
    """
    if not isinstance(policy, ChunkedPolicy | ResidualPolicy):
        return policy
    beside = BackgroundPolicy(policy, hz)
    when_at_rest.callback(beside.close)
    return beside
