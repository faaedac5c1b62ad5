"""Targets by name: this kit's own, and those of installed packages. Names are found without loading anything."""

import importlib
import pkgutil
from typing import TYPE_CHECKING, NamedTuple

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception import targets

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from reachy_kit.runtime.perception.targets.target_kind import TargetKind

ENTRY_POINTS = "reachy_kit.targets"
BALL = "ball"
"""The target on which policies are trained."""
_SUFFIX = "_target"


class NamedTarget(NamedTuple):
    """A target as ``--target`` gives it."""

    name: str
    argument: str
    """Text after the colon."""
    kind: "TargetKind"

    @property
    def text(self) -> str:
        """As ``--target`` takes it."""
        return f"{self.name}:{self.argument}" if self.argument else self.name


def target_names() -> tuple[str, ...]:
    """Names of all targets: this kit's, then those of installed packages."""
    return tuple(dict.fromkeys((*own_target_names(), *sorted(_installed()))))


def own_target_names() -> tuple[str, ...]:
    """Names of this kit's targets; an underscore in a module's name is a dash here."""
    stems = (module.name for module in pkgutil.iter_modules(targets.__path__))
    return tuple(sorted(stem.removesuffix(_SUFFIX).replace("_", "-") for stem in stems if stem.endswith(_SUFFIX)))


def target_by_name(target: str) -> NamedTarget:
    """The target of an argument ``NAME`` or ``NAME:ARGUMENT``.

    Raises:
        WrongUseError: it does not exist or cannot be loaded.
    """
    from reachy_kit.runtime.perception.targets.target_kind import TargetKind

    name, _, argument = target.partition(":")
    if name in own_target_names():
        place = f"{targets.__name__}.{name.replace('-', '_')}{_SUFFIX}"
        kind = importlib.import_module(place).TARGET
    elif name in _installed():
        entry = _installed()[name]
        place = entry.value
        try:
            kind = entry.load()
        except (Exception, SystemExit) as error:  # code of another package
            raise WrongUseError(f"the target {name} cannot be loaded from {place}: {error!r}") from error
    else:
        raise WrongUseError(f"--target {target} does not exist; there are {', '.join(target_names())}")
    if not isinstance(kind, TargetKind):
        raise WrongUseError(f"the target {name} cannot be loaded: {place} is not a TargetKind")
    return NamedTarget(name, argument, kind)


def _installed() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points  # takes 15 ms, and the command line starts without

    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
