"""Features for each of several behaviours, from what one perception and one microphone yield."""

from collections.abc import Callable

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import Array, Observation
from reachy_kit.runtime.perception.sound import HEARING_FEATURES, are_heard

type SelectFeatures = Callable[[Observation], Array | None]
"""Takes a behaviour's (K,) features out of an observation."""


def select_features(wanted: tuple[str, ...], perceived: tuple[str, ...], *, hears: bool) -> SelectFeatures:
    """What takes features out of observations.

    Args:
        wanted: their names, in order; empty for none.
        perceived: names of the observations' ``environment_state``.
        hears: whether the observations hold ``sound``.

    Raises:
        WrongUseError: the observations do not hold them.
    """
    if not wanted:
        return lambda observation: None
    if set(wanted) <= set(perceived):
        columns = [perceived.index(name) for name in wanted]
        return lambda observation: _columns(observation.environment_state, columns)
    if hears and are_heard(wanted):
        heard = [HEARING_FEATURES.index(name) for name in wanted]
        return lambda observation: _columns(observation.sound, heard)
    missing = ", ".join(name for name in wanted if name not in perceived)
    raise WrongUseError(
        f"this robot does not sense {missing}. Choose another --perception, give --microphone for sound, or leave that "
        "behaviour out"
    )


def _columns(values: Array | None, columns: list[int]) -> Array:
    assert values is not None, "the robot senses them"
    return values[columns]
