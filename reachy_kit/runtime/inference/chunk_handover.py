"""Which action of a chunk is due now, and how one chunk follows another without a jump.

Inference takes time. A chunk answers the observation from which inference started, so its first actions are past when
it arrives: they are skipped, by the times at which the observations were captured. What remains of it starts elsewhere
than the chunk before it has led to; that difference fades within a tenth of a second.
Compare: the action queue of LeRobot's async inference, which replaces or averages what overlaps, and so may jump.
"""

from math import ceil

import numpy as np

from reachy_kit.runtime.interface import Action, Array

FADE = 0.1
"""Time in which the difference between two chunks fades, s: that in which ``safety.CLASSROOM`` lets the head accelerate
from rest to its speed, 3 rad/s at 30 rad/s²."""
_SLACK = 0.04
"""Difference between counted and captured time that is taken for jitter, s: two of the daemon's publications."""


class DecisionClock:
    """Numbers the decisions of an episode, one per period of the policy; a stall skips those that it cost.

    The daemon's measurements arrive up to a publication early or late. Numbers are therefore counted, and follow the
    capture times only where the two have drifted apart.

    Args:
        hz: decisions per second.
    """

    def __init__(self, hz: int) -> None:
        self._hz, self._slack = hz, max(1.0, _SLACK * hz)
        self.reset()

    def reset(self) -> None:
        """Begin an episode."""
        self._origin: float | None = None
        self._number = 0

    def count(self, captured: float) -> int:
        """Number of the decision on an observation that was captured at this time, s; 0 for the first."""
        if self._origin is None:
            self._origin = captured
            return self._number
        due, counted = (captured - self._origin) * self._hz, self._number + 1
        self._number = counted if abs(due - counted) <= self._slack else max(self._number, round(due))
        return self._number


class ChunkHandover:
    """The targets of successive chunks.

    A chunk that arrives in its own decision starts from the action in force, which is one of its inputs, and is carried
    out as it is. A later one is due from the action on whose time has come. The difference to the chunk before is added
    to it, and fades linearly. A chunk that has run out holds its last action.

    Args:
        hz: decisions per second.
    """

    def __init__(self, hz: int) -> None:
        steps = ceil(FADE * hz)
        self._shares = 1 - (np.arange(steps) + 1) / (steps + 1)
        self.reset()

    def reset(self) -> None:
        """Begin an episode, or again after a pause."""
        self._chunk: Array | None = None
        self._decision = 0
        self._fading: list[tuple[int, Array]] = []

    def follow(self, chunk: Array, decision: int, now: int, held: Action) -> None:
        """Carry a chunk out from now on.

        Args:
            chunk: (K, 9) actions, one per decision.
            decision: number of the decision whose observation it answers.
            now: number of this decision.
            held: (9,) target in force where there was no chunk before.
        """
        before = held if self._chunk is None else self._due(self._chunk, now)
        self._chunk, self._decision = chunk, decision
        recent = [(start, difference) for start, difference in self._fading if now - start < len(self._shares)]
        self._fading = [] if decision == now else [*recent, (now, before - self._due(chunk, now))]

    def target(self, now: int) -> Action | None:
        """The (9,) target of a decision; None without a chunk."""
        if self._chunk is None:
            return None
        target = self._due(self._chunk, now)
        for start, difference in self._fading:
            if now - start < len(self._shares):
                target = target + self._shares[now - start] * difference
        return target

    def _due(self, chunk: Array, now: int) -> Action:
        return np.asarray(chunk[min(now - self._decision, len(chunk) - 1)])
