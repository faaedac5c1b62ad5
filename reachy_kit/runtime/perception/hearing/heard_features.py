"""Perception from a microphone: the features of sound that a task names."""

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import Array, Observation
from reachy_kit.runtime.perception.hearing.listening import Hearing
from reachy_kit.runtime.perception.sound import HEARING_FEATURES, SOUND_FEATURES


def require_direction(microphone: str, names: tuple[str, ...], *, given: bool) -> None:
    """Refuse a microphone that cannot yield features.

    Args:
        microphone: its name.
        names: of the features.
        given: whether it gives directions.

    Raises:
        WrongUseError: a direction is among the features, and it gives none.
    """
    if SOUND_FEATURES[0] in names and not given:
        raise WrongUseError(
            f"the microphone {microphone} gives no direction, and this task needs one: "
            "take one with two channels, as in --microphone NAME"
        )


class HeardFeatures:
    """Some of ``HEARING_FEATURES``.

    Args:
        hearing: fills the observations' ``sound``.
        names: of the features.

    Raises:
        WrongUseError: the microphone cannot yield them.
    """

    def __init__(self, hearing: Hearing, names: tuple[str, ...]) -> None:
        require_direction(hearing.source.name, names, given=hearing.gives_directions)
        self.names = names
        self._hearing = hearing
        self._columns = [HEARING_FEATURES.index(name) for name in names]

    def reset(self, seed: int) -> None:
        """Forget what was heard in the episode before."""
        self._hearing.forget()

    def perceive(self, observation: Observation) -> Array:
        """(K,) features in the order of ``names``."""
        assert observation.sound is not None, "the robot listens"
        return observation.sound[self._columns]
