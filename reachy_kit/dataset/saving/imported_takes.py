"""The robot's takes that were imported into a dataset: none is imported twice, also after it was dropped or forgotten.

``meta/imported_takes.json`` holds identities alone, and nothing about a person.
"""

import json
from collections.abc import Collection
from pathlib import Path

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.recording.redo_log import Change

IMPORTED_TAKES = Path("meta/imported_takes.json")


def read_imported_takes(root: Path) -> frozenset[str]:
    """Identities of the takes that were imported into a dataset; none where there is no dataset.

    Raises:
        RefusedError: the file is damaged.
    """
    file = root / IMPORTED_TAKES
    try:
        takes = json.loads(file.read_bytes())["takes"]
        if not all(isinstance(take, str) for take in takes):
            raise ValueError("it holds something else than texts")
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(
            f"{file} is damaged ({error}). Copy it again, or delete it: takes on a robot then arrive again"
        ) from error
    return frozenset(takes)


def stage_imported_takes(change: Change, takes: Collection[str]) -> None:
    """Write the file as a part of a change."""
    change.replace(IMPORTED_TAKES.as_posix()).write_text(_text(takes))


def write_imported_takes(root: Path, takes: Collection[str]) -> None:
    """Write the file into a new dataset, if there is anything to write.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    if takes:
        (root / IMPORTED_TAKES).write_text(_text(takes))


def _text(takes: Collection[str]) -> str:
    return json.dumps({"takes": sorted(takes)}, indent=1)
