"""Kinds of something by name: this kit's own, and those of installed packages. A name is found without loading it.

A kind of this kit is a module ``NAME_WHAT.py`` of one package that holds it as ``WHAT``: ``track_behaviour.py`` holds
``BEHAVIOUR``. Another package adds one with an entry point that has the kind's name and leads to it.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from reachy_kit.runtime.errors import WrongUseError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class NamedKind[Kind](NamedTuple):
    """A kind as the command line takes it."""

    name: str
    argument: str
    """Text after the colon; empty without one."""
    kind: Kind

    @property
    def text(self) -> str:
        """As the command line takes it: ``NAME`` or ``NAME:ARGUMENT``."""
        return f"{self.name}:{self.argument}" if self.argument else self.name


@dataclass(frozen=True)
class KindRegistry:
    """Kinds of one sort."""

    what: str
    """What they are, in one word."""
    package: ModuleType
    """Holds this kit's own, a module for each."""
    entry_points: str
    """Group of entry points with which other packages add theirs."""

    def own_names(self) -> tuple[str, ...]:
        """Names of this kit's own; an underscore in a module's name is a dash here."""
        return tuple(stem.replace("_", "-") for stem in own_stems(self.package, self.what))

    def names(self) -> tuple[str, ...]:
        """All names: this kit's, then those of installed packages."""
        return tuple(dict.fromkeys((*self.own_names(), *sorted(installed(self.entry_points)))))

    def load[Kind](self, name: str, kind: type[Kind]) -> Kind:
        """Load the kind of a name.

        Args:
            name: one of ``names()``.
            kind: class that it must have.

        Raises:
            WrongUseError: it cannot be loaded.
        """
        if name in self.own_names():
            place = f"{self.package.__name__}.{name.replace('-', '_')}_{self.what}"
            loaded = getattr(importlib.import_module(place), self.what.upper())
        else:
            entry = installed(self.entry_points)[name]
            place = entry.value
            try:
                loaded = entry.load()
            except (Exception, SystemExit) as error:  # code of another package
                raise WrongUseError(
                    f"the {self.what} {name} cannot be loaded from {place} ({error!r}). Mend or remove its package"
                ) from error
        if not isinstance(loaded, kind):
            raise WrongUseError(f"the {self.what} {name} cannot be loaded: {place} is not a {kind.__name__}")
        return loaded


def own_stems(package: ModuleType, what: str) -> tuple[str, ...]:
    """What stands before ``_WHAT`` in the names of a package's modules, in order."""
    suffix = f"_{what}"
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name.removesuffix(suffix) for name in names if name.endswith(suffix)))


def installed(group: str) -> "dict[str, EntryPoint]":
    """Entry points of installed packages in a group, by name."""
    from importlib.metadata import entry_points  # takes 15 ms, and the command line starts without

    return {entry.name: entry for entry in entry_points(group=group)}
