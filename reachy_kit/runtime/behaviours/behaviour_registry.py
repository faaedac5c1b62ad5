"""Behaviours by name: this kit's own, and those of installed packages. Names are found without loading anything."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reachy_kit.runtime import behaviours
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception.targets.target_registry import target_names
from reachy_kit.runtime.registries.kind_registry import KindRegistry, NamedKind

if TYPE_CHECKING:
    from reachy_kit.runtime.behaviours.behaviour_kind import BehaviourKind

ENTRY_POINTS = "reachy_kit.behaviours"
_REGISTRY = KindRegistry("behaviour", behaviours, ENTRY_POINTS)

type NamedBehaviour = "NamedKind[BehaviourKind]"
"""A behaviour as ``run`` takes it."""


def behaviour_names() -> tuple[str, ...]:
    """Names of all behaviours: this kit's, then those of installed packages."""
    return _REGISTRY.names()


def is_behaviour(text: str) -> bool:
    """Whether a text ``NAME`` or ``NAME:ARGUMENT`` names a behaviour."""
    return text.partition(":")[0] in behaviour_names()


def behaviour_by_name(text: str) -> NamedBehaviour:
    """The behaviour of a text ``NAME`` or ``NAME:ARGUMENT``.

    Raises:
        WrongUseError: it does not exist, cannot be loaded, or takes no argument and got one.
    """
    from reachy_kit.runtime.behaviours.behaviour_kind import BehaviourKind

    name, colon, argument = text.partition(":")
    if name not in behaviour_names():
        raise WrongUseError(f"no behaviour is called {name!r}; there are {', '.join(behaviour_names())}")
    kind = _REGISTRY.load(name, BehaviourKind)
    if colon and not kind.argument:
        looks = f". What is looked at is --target {argument}" if argument.partition(":")[0] in target_names() else ""
        raise WrongUseError(f"{text}: the behaviour {name} takes no argument{looks}")
    return NamedKind(name, argument, kind)


def known_behaviours() -> Iterator[NamedBehaviour]:
    """Every behaviour that can be loaded; a broken one says why only when it is asked for by name."""
    for name in behaviour_names():
        try:
            yield behaviour_by_name(name)
        except WrongUseError:
            continue
