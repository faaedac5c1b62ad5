"""A person takes over from a policy in the middle of an episode, and hands back.

Try it: reachy-kit view --task track --policy expert   (and move a slider)
"""

from collections.abc import Callable

from reachy_kit.runtime.interface import Action, Observation, Policy


class InterventionPolicy:
    """Another policy until a person intervenes, and again once the person releases the robot.

    Args:
        policy: the policy that drives otherwise. It starts as in a new episode after each intervention.
        human_action: gives the (9,) targets of the person, or None while the policy drives.
    """

    def __init__(self, policy: Policy, human_action: Callable[[], Action | None]) -> None:
        self._policy = policy
        self._human_action = human_action
        self._intervened = False

    @property
    def overdue(self) -> float:
        """Time for which the loop has waited for the policy's next plan, s; 0 while the person drives."""
        return 0.0 if self._intervened else float(getattr(self._policy, "overdue", 0.0))

    @property
    def is_planned(self) -> bool:
        """Whether a plan has come since the policy began to drive; True for one that decides in the loop."""
        return bool(getattr(self._policy, "is_planned", True))

    def reset(self) -> None:
        """Forget the episode before."""
        self._policy.reset()
        self._intervened = False

    def act(self, observation: Observation) -> Action:
        """The person's (9,) target, or else the policy's."""
        human_action = self._human_action()
        if human_action is not None:
            self._intervened = True
            return human_action
        if self._intervened:
            self._policy.reset()
            self._intervened = False
        return self._policy.act(observation)
