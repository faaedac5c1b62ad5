"""The environments of a training's rounds: one tier throughout, or the fast one first and physics to finish."""

from dataclasses import dataclass
from typing import Any

from gymnasium.vector import VectorEnv

type Envs = VectorEnv[Any, Any, Any]


@dataclass(frozen=True)
class Stages:
    """N environments for each round, without autoreset."""

    first: Envs
    finish: Envs | None = None
    """Those of the last rounds, if they are others."""
    switch: int = 0
    """First round in ``finish``."""

    def at(self, iteration: int) -> Envs:
        """The environments of a round."""
        return self.finish if self.finish is not None and iteration >= self.switch else self.first

    def close(self) -> None:
        """Free them."""
        self.first.close()
        if self.finish is not None:
            self.finish.close()
