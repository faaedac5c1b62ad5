"""A control loop that misses its ticks, and a policy that cannot keep up.

Measurements that stay away are the robot's link's: it waits for them within a tick (``robots/link/sdk_link.py``).
"""

import math
import time
from collections import deque
from collections.abc import Callable

from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import CONTROL_HZ, Policy, Tick

WINDOW = 50
"""Ticks over which missed ones are counted: a second."""
MISSED = 0.5
"""Share of them that may be missed. At more the robot moves in jumps of 40 ms and longer."""
OVERDUE = 0.5
"""Time without a plan for now from which the robot counts as holding still, s; its last target holds before too."""
FIRST_OVERDUE = 5.0
"""The same before the first plan, s: where a policy starts cold, its first plan may take seconds."""
_PERIOD = 1 / CONTROL_HZ
_BUSY = "Close other programs, or run on the robot's own computer"


class TickWatchdog:
    """Reports a loop of which most ticks come more than a period late. One long stall is one late tick.

    Args:
        now: a clock, s.
    """

    patience, brief, starts_over = 2.0, 0.0, True
    error = KitError

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.begin()

    def begin(self) -> None:
        """Forget the episode before."""
        self._before: float | None = None
        self._late: deque[bool] = deque(maxlen=WINDOW)

    def pause(self) -> None:
        """Leave the pause out: it is not a late tick."""
        self._before = None

    def trouble(self, tick: Tick) -> str | None:
        """How many ticks were missed."""
        now = self._now()
        if self._before is not None:
            self._late.append(now - self._before > 2 * _PERIOD)
        self._before = now
        late = sum(self._late)
        if len(self._late) < WINDOW or late <= MISSED * WINDOW:
            return None
        return f"{late} of the last {WINDOW} ticks were missed: this computer is too busy. {_BUSY}"


class DecisionWatchdog:
    """Reports a policy that is computed beside the loop and whose plan has run out.

    The policy does not start over when its plan comes: that would throw the plan away.

    Args:
        policy: says by ``overdue`` for how long the loop has waited for its next decision, s, if it can; by
            ``is_planned`` whether it has made a first plan.
    """

    patience, brief, starts_over = 2.0, 0.0, False
    error = KitError

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def begin(self) -> None:
        """Do nothing: it has no memory."""

    def pause(self) -> None:
        """Do nothing: the policy was not asked meanwhile."""

    def trouble(self, tick: Tick) -> str | None:
        """How long the policy has been away."""
        overdue = getattr(self._policy, "overdue", 0.0)
        longest = OVERDUE if getattr(self._policy, "is_planned", True) else FIRST_OVERDUE
        if not math.isfinite(overdue) or overdue <= longest:
            return None
        return f"the policy has not decided for {overdue:.1f} s: it is too slow for this computer. {_BUSY}"
