"""The environments of a training's iterations: the same throughout, or a curriculum, one kind after another."""

from reachy_policies.rollouts.episode_batch import Envs


class Curriculum:
    """N environments for each iteration, without autoreset.

    Args:
        first: environments of the first iterations.
        later: pairs of an iteration and the environments from it on, in the order of the iterations.
    """

    def __init__(self, first: Envs, *later: tuple[int, Envs]) -> None:
        self.first, self._later = first, later

    def at(self, iteration: int) -> Envs:
        """Environments of an iteration."""
        begun = [envs for begin, envs in self._later if iteration >= begin]
        return begun[-1] if begun else self.first

    def close(self) -> None:
        """Close all environments."""
        for envs in (self.first, *(envs for _, envs in self._later)):
            envs.close()
