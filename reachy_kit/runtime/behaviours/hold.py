"""Holding still: what a robot does while nothing else drives it."""

from reachy_kit.runtime.interface import Action, Observation


class HoldPolicy:
    """The policy ``none``: stays where it is."""

    def reset(self) -> None:
        """Nothing to forget."""

    def act(self, observation: Observation) -> Action:
        """The (9,) action in force."""
        return observation.state if observation.last_action is None else observation.last_action
