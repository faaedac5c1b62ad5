"""A trained policy as a behaviour among others: it wants to drive while it senses what it was trained on."""

from reachy_kit.runtime.behaviours.driving.presence import Presence
from reachy_kit.runtime.interface import Action, Array, Observation, Policy
from reachy_kit.runtime.interpolation import interpolate

PATIENCE = 1.0
"""Time after the last sensing for which it drives on, s; the oldest age that features report."""


class TrainedPolicy:
    """A policy that decides at a rate of its own.

    Args:
        policy: the trained one.
        features: names of its features, the last two of which say whether it senses something now, and the age of that.
            Without features, as a policy on images, it always wants to drive.
        policy_hz: its decisions per second.
        hz: the behaviours' decisions per second, a multiple of its own.
    """

    carries_on = False

    def __init__(self, policy: Policy, features: tuple[str, ...], policy_hz: int, hz: int) -> None:
        self.features = features
        self._policy, self._ticks = policy, hz // policy_hz
        self._presence = Presence(hz, PATIENCE) if features else None

    @property
    def overdue(self) -> float:
        """Time for which the loop has waited for the policy's next plan, s; 0 for a policy that decides in the loop."""
        return float(getattr(self._policy, "overdue", 0.0))

    @property
    def is_planned(self) -> bool:
        """Whether a plan has come since it began to drive; True for a policy that decides in the loop."""
        return bool(getattr(self._policy, "is_planned", True))

    @property
    def decision_age(self) -> float | None:
        """Age of the observation that the target in force answers, s; None for a policy that decides in the loop."""
        age: float | None = getattr(self._policy, "decision_age", None)
        return age

    def reset(self) -> None:
        """Forget the episode before."""
        self._policy.reset()
        if self._presence:
            self._presence.forget()

    def wants_to_drive(self, observation: Observation) -> bool:
        """While it senses something, and ``PATIENCE`` longer."""
        return self._presence is None or self._presence.update(observation)

    def start(self, observation: Observation, speed: Array) -> None:
        """Begin as in a new episode."""
        self._policy.reset()
        self._tick, self._target = 0, observation.action_in_force

    def act(self, observation: Observation) -> Action:
        """The (9,) target of this tick, on the way to what the policy decided last."""
        if self._tick % self._ticks == 0:
            self._previous, self._target = self._target, self._policy.act(observation)
        tick = self._tick % self._ticks + 1
        self._tick += 1
        return interpolate(self._previous, self._target, tick, self._ticks)
