"""Units of work: tests that share something costly run on one worker, which makes it once.

xdist's own groups become part of a test's name, which pytest 9.2 does not let it change. So the workers write the units
down, and the scheduler reads them.
"""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARED = {"shared_daemon": "daemon", "shared_limp_daemon": "limp daemon"}
"""Fixture of a whole session → the unit of the tests that use it."""
SHARES_NOTHING = "unit"
"""Folder whose tests each run on whichever worker is free."""


def unit_of(item: pytest.Item) -> str:
    """Unit of a test: the tests of a shared daemon, or those of its file, whose fixtures are made once."""
    fixtures = getattr(item, "fixturenames", ())
    for fixture, unit in SHARED.items():
        if fixture in fixtures:
            return unit
    return item.nodeid if SHARES_NOTHING in item.path.parts else item.path.name


def start_with_the_longest(items: list[pytest.Item]) -> None:
    """Put the units of shared daemons first: the last ones should be short, so that no worker waits for another."""
    units = list(SHARED.values())
    items.sort(key=lambda item: units.index(unit) if (unit := unit_of(item)) in units else len(units))


def write_units(items: Iterable[pytest.Item], file: Path) -> None:
    """Write the unit of each test; every worker writes the same."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as partial:
        json.dump({item.nodeid: unit_of(item) for item in items}, partial)
    Path(partial.name).replace(file)


class UnitScheduling(LoadScopeScheduling):
    """Gives a worker the next unit when it has almost finished one, in the order of the tests.

    Args:
        file: of write_units, there once the workers have collected the tests.
        arguments: xdist's.
    """

    def __init__(self, file: Path, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.config.option.loadscopereorder = False
        self._file = file
        self._units: dict[str, str] = {}

    def _split_scope(self, nodeid: str) -> str:
        self._units = self._units or json.loads(self._file.read_text())
        return self._units[nodeid]
