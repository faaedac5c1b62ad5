"""The environments of a training's rounds: the same throughout, or a curriculum, one kind after another."""

from typing import Any

from gymnasium.vector import VectorEnv

type Envs = VectorEnv[Any, Any, Any]


class Curriculum:
    """N environments for each round, without autoreset.

    Args:
        first: those of the first rounds.
        later: the round from which others are used, and these; in the order of the rounds.
    """

    def __init__(self, first: Envs, *later: tuple[int, Envs]) -> None:
        self.first, self._later = first, later

    def at(self, iteration: int) -> Envs:
        """The environments of a round."""
        begun = [envs for begin, envs in self._later if iteration >= begin]
        return begun[-1] if begun else self.first

    def close(self) -> None:
        """Free them."""
        for envs in (self.first, *(envs for _, envs in self._later)):
            envs.close()
