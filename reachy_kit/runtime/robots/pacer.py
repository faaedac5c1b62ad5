"""Pace of a robot on the wall clock: how long to sleep until its next tick."""

import time
from collections.abc import Callable


class TickPacer:
    """Sleeps from tick to tick of an absolute schedule, so that the duration of the ticks does not add up.

    Args:
        hz: ticks per second.
        leeway: s behind the schedule that are caught up; after a longer stall the schedule starts again from now.
        now: a clock, s.
        sleep: passes that many s of it.
    """

    def __init__(
        self,
        hz: int,
        leeway: float = 0.0,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._period, self._leeway = 1 / hz, leeway
        self._now, self._sleep = now, sleep
        self.restart()

    def restart(self) -> None:
        """Start the schedule now."""
        self._due = self._now()

    def wait(self) -> None:
        """Sleep until the next tick."""
        self._due += self._period
        ahead = self._due - self._now()
        if ahead > 0:
            self._sleep(ahead)
        elif -ahead > self._leeway:
            self.restart()
