"""The robot's own daemon, with a simulation that keeps pace with the clock.

Its own sleeps two milliseconds between steps, and on a busy computer longer: twenty milliseconds of the simulation then
last twenty to forty. Targets that come 50 times per second would lead such a robot faster than they say: at 3.0 rad/s
it measured 4.4 in its own time. Here a step that is late is made up for; after a pause of the whole daemon it is not.
"""

import time

from reachy_mini.daemon.app.main import main
from reachy_mini.daemon.backend.mujoco import backend

STEP, PAUSE = 0.002, 0.1


class Pace:
    """Stands in for the time module of the daemon's simulation."""

    time = staticmethod(time.time)

    def __init__(self):
        self.due = 0.0

    def sleep(self, seconds):
        """Called after each step."""
        now = time.monotonic()
        self.due = self.due + STEP if now - self.due < PAUSE else now
        time.sleep(max(0.0, self.due - now))


backend.time = Pace()

if __name__ == "__main__":
    main()
