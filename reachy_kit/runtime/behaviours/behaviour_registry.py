"""Behaviours by name: this kit's own, and those of installed packages. Names are found without loading anything."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from reachy_kit.runtime import behaviours
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception.targets.target_registry import target_names

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from reachy_kit.runtime.behaviours.behaviour_kind import BehaviourKind

ENTRY_POINTS = "reachy_kit.behaviours"
_SUFFIX = "_behaviour"


class NamedBehaviour(NamedTuple):
    """A behaviour as ``run`` takes it."""

    name: str
    argument: str
    """Text after the colon."""
    kind: "BehaviourKind"

    @property
    def text(self) -> str:
        """As ``run`` takes it."""
        return f"{self.name}:{self.argument}" if self.argument else self.name


def behaviour_names() -> tuple[str, ...]:
    """Names of all behaviours: this kit's, then those of installed packages."""
    return tuple(dict.fromkeys((*_own_names(), *sorted(_installed()))))


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
    if name in _own_names():
        place = f"{behaviours.__name__}.{name.replace('-', '_')}{_SUFFIX}"
        kind = importlib.import_module(place).BEHAVIOUR
    elif name in _installed():
        entry = _installed()[name]
        place = entry.value
        try:
            kind = entry.load()
        except (Exception, SystemExit) as error:  # code of another package
            raise WrongUseError(f"the behaviour {name} cannot be loaded from {place}: {error!r}") from error
    else:
        raise WrongUseError(f"no behaviour is called {name!r}; there are {', '.join(behaviour_names())}")
    if not isinstance(kind, BehaviourKind):
        raise WrongUseError(f"the behaviour {name} cannot be loaded: {place} is not a BehaviourKind")
    if colon and not kind.argument:
        looks = f". What is looked at is --target {argument}" if argument.partition(":")[0] in target_names() else ""
        raise WrongUseError(f"{text}: the behaviour {name} takes no argument{looks}")
    return NamedBehaviour(name, argument, kind)


def known_behaviours() -> Iterator[NamedBehaviour]:
    """Every behaviour that can be loaded; a broken one says why only when it is asked for by name."""
    for name in behaviour_names():
        try:
            yield behaviour_by_name(name)
        except WrongUseError:
            continue


def _own_names() -> tuple[str, ...]:
    """Names of this kit's behaviours; an underscore in a module's name is a dash here."""
    stems = (module.name for module in pkgutil.iter_modules(behaviours.__path__))
    return tuple(sorted(stem.removesuffix(_SUFFIX).replace("_", "-") for stem in stems if stem.endswith(_SUFFIX)))


def _installed() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points  # takes 15 ms, and the command line starts without

    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
