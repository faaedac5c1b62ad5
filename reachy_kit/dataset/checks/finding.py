"""Findings and their registry: a module of this folder registers a check, and importing it is all it takes."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum

from reachy_kit.dataset import checks
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import RefusedError

type Finding = str
"""A fault in one or two sentences: the file or the column, what is wrong with it, and the remedy."""
type Check = Callable[[StoredDataset], Iterable[Finding]]


class Aspect(IntEnum):
    """What a check looks at; a dataset with findings about its tables has no values to check."""

    TABLES = 1
    VALUES = 2
    VIDEOS = 3


_registered: dict[Aspect, list[Check]] = {aspect: [] for aspect in Aspect}


def register_check(aspect: Aspect) -> Callable[[Check], Check]:
    """Decorate a check of one aspect of a dataset."""

    def register(check: Check) -> Check:
        _registered[aspect].append(check)
        return check

    return register


def find_faults(dataset: StoredDataset, aspects: Iterable[Aspect] = tuple(Aspect)) -> Iterator[Finding]:
    """Findings about a dataset, aspect by aspect; those after one with findings are left out."""
    for module in pkgutil.iter_modules(checks.__path__, f"{checks.__name__}."):
        importlib.import_module(module.name)
    for aspect in sorted(aspects):
        findings = [finding for check in _registered[aspect] for finding in check(dataset)]
        yield from findings
        if findings:
            return


def require_sound(dataset: StoredDataset, *aspects: Aspect) -> None:
    """Refuse a dataset with a fault.

    Raises:
        RefusedError: there is one; the message holds the first, and the number of the others.
    """
    findings = list(find_faults(dataset, aspects))
    if findings:
        others = len(findings) - 1
        more = f" ({others} more fault{'s' if others > 1 else ''})" if others else ""
        raise RefusedError(findings[0] + more)
