"""Perception features by name: the meaning, unit and range of each number of ``environment_state``.

A module declares its features where it defines them (``target.py``, ``sound.py``); importing the module registers them.
Another package adds one with an entry point of the group ``reachy_kit.features`` that has the feature's name and leads
to a ``Feature``, or to a module that registers it. A file with a task of its own declares its features in that file.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points

from reachy_kit.runtime import perception
from reachy_kit.runtime.errors import RefusedError, WrongUseError

ENTRY_POINTS = "reachy_kit.features"
_registered: dict[str, "Feature"] = {}


@dataclass(frozen=True)
class Feature:
    """One number of ``environment_state``."""

    name: str
    unit: str
    """SI unit, or ``1`` for a number without one."""
    low: float
    high: float
    meaning: str


def register_features(*features: Feature) -> tuple[str, ...]:
    """Make features known; returns their names in order.

    Raises:
        WrongUseError: a name is taken by another feature.
    """
    for feature in features:
        if _registered.setdefault(feature.name, feature) != feature:
            raise WrongUseError(
                f"two features are called {feature.name}: {_registered[feature.name].meaning!r} and {feature.meaning!r}"
            )
    return tuple(feature.name for feature in features)


def feature_by_name(name: str) -> Feature:
    """A feature of this kit, of an installed package, or of a file that was loaded.

    Raises:
        WrongUseError: it does not exist, or the package that should declare it is broken.
    """
    if name not in _registered:
        for module in pkgutil.iter_modules(perception.__path__, f"{perception.__name__}."):
            importlib.import_module(module.name)
    if name not in _registered:
        _load_entry_point(name)
    if name not in _registered:
        raise WrongUseError(f"no perception feature is called {name!r}; there are {', '.join(_registered)}")
    return _registered[name]


def features_by_name(names: Iterable[str]) -> tuple[Feature, ...]:
    """Several features, in the order of their names."""
    return tuple(feature_by_name(name) for name in names)


def units_of(names: Iterable[str]) -> tuple[str, ...]:
    """Units, in the order of the features' names."""
    return tuple(feature.unit for feature in features_by_name(names))


def require_features(policy: str, trained_on: tuple[str, ...], given: tuple[str, ...]) -> None:
    """Refuse a policy that was trained on other features than it is given.

    Args:
        policy: names it in the message.
        trained_on: names of its features, in order.
        given: names of the features that perception or the task yields, in order.

    Raises:
        RefusedError: they differ.
    """
    if trained_on != given:
        raise RefusedError(
            f"{policy} was trained on {', '.join(trained_on)}, not {', '.join(given)}. Choose another --perception, or "
            "train on these"
        )


def _load_entry_point(name: str) -> None:
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        try:
            declared = entry.load()
        except (Exception, SystemExit) as error:  # code of another package
            raise WrongUseError(f"the feature {name} cannot be loaded from {entry.value}: {error!r}") from error
        if isinstance(declared, Feature):
            register_features(declared)
