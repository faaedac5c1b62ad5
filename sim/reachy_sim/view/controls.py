"""Between the browser and the one control loop: pause, single steps, another episode, and a person at the sliders.

The loop stays ``reachy_kit.runtime.rollout``. Its ``on_tick`` waits here while the person pauses it, and its ``stop``
asks here whether another episode is wanted.
"""

import threading

from reachy_kit.runtime.interface import Action, EndReason, Tick


class Controls:
    """Requests of the person at the browser. Any thread may set them; the loop's thread acts on them.

    Args:
        seed: of the first episode.
        variant: of the task.
        paused: wait before the first tick.
    """

    def __init__(self, seed: int, variant: str, *, paused: bool = False) -> None:
        self._changed = threading.Condition()
        self._paused = paused
        self._steps = 0
        self._restart = False
        self._length: int | None = None
        self._driven = 0
        self.seed = seed
        self.variant = variant
        self.human_action: Action | None = None
        """(9,) target of the person; None while the policy drives."""

    @property
    def paused(self) -> bool:
        """Whether the loop waits."""
        return self._paused

    def pause(self, paused: bool) -> None:
        """Pause the loop at its next tick, or let it continue."""
        with self._changed:
            self._paused, self._steps = paused, 0
            self._changed.notify_all()

    def step(self, ticks: int) -> None:
        """Pause after this number of further ticks."""
        with self._changed:
            self._paused = True
            self._steps += ticks
            self._changed.notify_all()

    def restart(self, seed: int | None = None, variant: str | None = None) -> None:
        """Begin another episode, of the next seed unless one is given; the policy drives again."""
        with self._changed:
            self.seed = self.seed + 1 if seed is None else seed
            self.variant = self.variant if variant is None else variant
            self.human_action, self._restart = None, True
            self._changed.notify_all()

    def steer(self, axis: int, value: float, start: Action) -> None:
        """Move one axis for the person.

        Args:
            axis: index in ``ACTION_NAMES``.
            value: target, m or rad.
            start: (9,) action in force, where the other axes stay when the person takes over.
        """
        with self._changed:
            human_action = (start if self.human_action is None else self.human_action).copy()
            human_action[axis] = value
            self.human_action = human_action

    def release(self) -> None:
        """Let the policy drive again."""
        self.human_action = None

    # The loop's side.

    def begin_episode(self, length: int | None) -> int:
        """Called before the loop runs an episode.

        Args:
            length: ticks after which it is complete, not counting those of a person; None for no end.

        Returns:
            Its seed.
        """
        with self._changed:
            self._restart, self._length, self._driven = False, length, 0
            return self.seed

    def on_tick(self, tick: Tick) -> None:
        """Hold the loop while it is paused."""
        with self._changed:
            self._changed.wait_for(lambda: self._restart or not self._paused or self._steps > 0)
            if not self._restart:
                self._steps = max(0, self._steps - 1)

    def stop(self) -> EndReason | None:
        """Reason for which the loop's episode ends at this tick; None if it continues."""
        with self._changed:
            if self._restart:
                return EndReason.DISCARDED
            if self.human_action is None and self._length is not None:
                if self._driven >= self._length:
                    self.seed += 1
                    return EndReason.COMPLETED
                self._driven += 1
            return None
