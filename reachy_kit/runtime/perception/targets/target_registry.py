"""Targets by name: this kit's own, and those of installed packages. Names are found without loading anything."""

from typing import TYPE_CHECKING

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.perception import targets
from reachy_kit.runtime.registries.kind_registry import KindRegistry, NamedKind

if TYPE_CHECKING:
    from reachy_kit.runtime.perception.targets.target_kind import TargetKind

ENTRY_POINTS = "reachy_kit.targets"
BALL = "ball"
"""The target on which policies are trained."""
_REGISTRY = KindRegistry("target", targets, ENTRY_POINTS)

type NamedTarget = "NamedKind[TargetKind]"
"""A target as ``--target`` gives it."""


def target_names() -> tuple[str, ...]:
    """Names of all targets: this kit's, then those of installed packages."""
    return _REGISTRY.names()


def own_target_names() -> tuple[str, ...]:
    """Names of this kit's targets."""
    return _REGISTRY.own_names()


def target_by_name(target: str) -> NamedTarget:
    """The target of an argument ``NAME`` or ``NAME:ARGUMENT``.

    Raises:
        WrongUseError: it does not exist or cannot be loaded.
    """
    from reachy_kit.runtime.perception.targets.target_kind import TargetKind

    name, _, argument = target.partition(":")
    if name not in target_names():
        raise WrongUseError(f"--target {target} does not exist; there are {', '.join(target_names())}")
    return NamedKind(name, argument, _REGISTRY.load(name, TargetKind))
