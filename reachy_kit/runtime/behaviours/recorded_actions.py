"""Replaying an episode's actions: what a robot did once, it does again, through the limiter.

Try it: reachy-kit replay data/look_at 0 --robot sim
"""

import numpy as np

from reachy_kit.runtime.interface import Action, Array, Observation


class ReplayPolicy:
    """A policy that repeats recorded actions, whatever it observes, and holds the last one.

    Args:
        actions: (T, 9) absolute targets.
        hz: their rate.
        policy_hz: rate at which it decides; at another rate than theirs they are interpolated.
    """

    def __init__(self, actions: Array, hz: float, policy_hz: float) -> None:
        steps = np.arange(max(1, round(len(actions) * policy_hz / hz)))
        # A decision's target is reached at its end: target k of the recording belongs to the time (k + 1) / hz.
        times = (steps + 1) / policy_hz
        columns = [np.interp(times, (np.arange(len(actions)) + 1) / hz, column) for column in actions.T]
        self._actions = actions if policy_hz == hz else np.stack(columns, axis=-1)
        self._next = 0

    @property
    def steps(self) -> int:
        """Number of decisions."""
        return len(self._actions)

    def reset(self) -> None:
        """Begin again with the first action."""
        self._next = 0

    def act(self, observation: Observation) -> Action:
        """The next (9,) action."""
        action = self._actions[min(self._next, len(self._actions) - 1)]
        self._next += 1
        return np.asarray(action)
