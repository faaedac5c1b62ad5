"""RK107. Statistics against the frames: LeRobot's policies normalise with them, so stale ones spoil their training."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_file_check
from reachy_kit.dataset.checks.fixes import register_fix
from reachy_kit.dataset.checks.remedies import fix_command
from reachy_kit.dataset.dataset_index import DamagedFileError
from reachy_kit.dataset.saving.column_statistics import (
    QUANTILES,
    STATS,
    compute_statistics,
    is_finite,
    write_statistics,
)
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.recording.redo_log import Change

_OFF = 0.05
"""Error of a mean, standard deviation or extreme that counts, relative to the column's standard deviation."""
_QUANTILE_OFF = 0.1
"""Error of a quantile that counts, relative to the column's range."""
_LEARNED = ("observation", "action")
"""What the names of columns begin with that LeRobot's policies learn from."""
_REMEDY = "Compute them again"


@register_file_check("RK107", "stale statistics", Aspect.STATISTICS, refuses=True)
def check_stored_statistics(dataset: StoredDataset) -> Iterator[Finding]:
    """Find statistics that are missing, not numbers, or not those of the frames."""
    if not dataset.episodes:
        return
    fix = fix_command(dataset.root)
    try:
        stored = json.loads((dataset.root / STATS).read_bytes())
    except FileNotFoundError:
        yield Finding(f"{dataset.root / STATS} is missing", remedy=_REMEDY, command=fix, fixable=True)
        return
    except (OSError, ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        yield Finding(f"{dataset.root / STATS} is damaged", remedy=_REMEDY, command=fix, fixable=True)
        return
    bad = sorted(key for key, values in stored.items() if not is_finite(values))
    if bad:
        yield Finding(
            f"{STATS} holds values that are not numbers, for {', '.join(bad)}; strict readers of JSON refuse the file",
            Severity.WARNING,
            remedy=_REMEDY,
            command=fix,
            fixable=True,
        )
    try:
        computed = compute_statistics(dataset)
    except DamagedFileError:
        return  # another finding's
    stale, rough = _differences(stored, computed)
    stale = [key for key in stale if key not in bad]
    learned = [key for key in stale if key.startswith(_LEARNED)]
    if stale:
        yield Finding(
            f"{STATS} does not fit the frames, for {', '.join(learned or stale)}",
            Severity.ERROR if learned else Severity.NOTE,
            remedy=_REMEDY,
            command=fix,
            fixable=True,
        )
    elif rough:
        yield Finding(
            f"{STATS} has quantiles that are means of the episodes' quantiles, for {', '.join(rough)}: LeRobot adds "
            "them up so. Only policies that normalise with quantiles notice",
            Severity.NOTE,
            remedy=_REMEDY,
            command=fix,
            fixable=True,
        )


@register_fix("RK107")
def fix_stored_statistics(change: Change, dataset: StoredDataset, instruction: str) -> None:
    """Compute the statistics of all numbers again; those of images are put together from the episodes' own."""
    write_statistics(change, dataset)


def _differences(stored: Mapping[str, Any], computed: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Columns whose statistics are wrong, and those of which only the quantiles are."""
    stale, rough = [], []
    for key, right in computed.items():
        has = stored.get(key)
        if (
            not isinstance(has, dict)
            or not _agrees(has, right, ("min", "max", "mean", "std"), "std", _OFF)
            or has.get("count") not in (right["count"], right["count"][0])
        ):
            stale.append(key)
        elif any(name in has for name in QUANTILES) and not _agrees(has, right, tuple(QUANTILES), "", _QUANTILE_OFF):
            rough.append(key)
    return stale, rough


def _agrees(
    has: Mapping[str, Any], right: Mapping[str, Any], names: tuple[str, ...], scale: str, tolerance: float
) -> bool:
    unit = np.asarray(right[scale]) if scale else np.asarray(right["max"]) - np.asarray(right["min"])
    try:
        return all(
            np.all(np.abs(np.asarray(has[name], dtype=np.float64) - np.asarray(right[name])) <= tolerance * unit + 1e-4)
            for name in names
        )
    except (KeyError, ValueError, TypeError):
        return False
