"""Holding still: what a robot does while nothing else drives it."""

from reachy_kit.runtime.interface import Action, Observation


class HoldPolicy:
    """The policy ``none``: it stays where it is."""

    def reset(self) -> None:
        """Do nothing: the policy has no memory."""

    def act(self, observation: Observation) -> Action:
        """The (9,) action in force."""
        return observation.action_in_force
