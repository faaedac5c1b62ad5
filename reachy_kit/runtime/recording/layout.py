"""Layout of a dataset, in a file of our own beside LeRobot's: task, rates, features with units, provenance."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from reachy_kit.runtime.durable_files import replace_file
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, CONTROL_HZ
from reachy_kit.runtime.json_record import mistyped_fields
from reachy_kit.runtime.recording.schema import SCHEMA

LAYOUT_FILE = Path("meta/reachy_kit.json")
type Storage = Literal["lerobot", "episode files"]
"""Storage of the frames."""
_STORED_OTHERWISE: dict[Storage, str] = {
    "lerobot": "holds episode files. Import them: reachy_kit.dataset.episode_import.import_episodes",
    "episode files": "holds a LeRobot dataset, not episode files. Choose another folder",
}


@dataclass(frozen=True)
class DatasetLayout:
    """Layout of a dataset. A dataset is continued only by a recording of the same layout."""

    task: str
    instruction: str
    """The task in words, LeRobot's ``task`` column."""
    environment_state: tuple[str, ...]
    """Names of the perception's features."""
    environment_state_units: tuple[str, ...]
    """Their units, in the same order."""
    policy_hz: int
    """Frames per second: one frame for each decision."""
    image_shape: tuple[int, int, int] | None = None
    """(height, width, 3), or None without a camera."""
    control_hz: int = CONTROL_HZ
    action: tuple[str, ...] = ACTION_NAMES
    provenance: dict[str, str] = field(default_factory=dict, compare=False)
    """Origin of the recording: robot, teleop, perception, versions."""


def write_layout(root: Path, layout: DatasetLayout, storage: Storage) -> None:
    """Write the layout's file into a dataset's folder, completely or not at all."""
    file = root / LAYOUT_FILE
    partial = file.with_name(f"{file.name}.partial")
    file.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(json.dumps({"schema": SCHEMA, "storage": storage, **asdict(layout)}, indent=2))
    replace_file(file, partial)


def read_layout(root: Path, storage: Storage = "lerobot") -> DatasetLayout:
    """The layout of a dataset that reachy-kit recorded.

    Args:
        root: its folder.
        storage: how its frames have to be stored.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: another version of reachy-kit recorded it.
    """
    try:
        stored = json.loads((root / LAYOUT_FILE).read_text())
        schema, stored_as = stored.pop("schema", 1), stored.pop("storage", None)
        _require_schema(root, schema)
        stored["image_shape"] = tuple(stored["image_shape"]) if stored["image_shape"] else None
        for name in ("environment_state", "environment_state_units", "action"):
            stored[name] = tuple(stored[name])
        layout = DatasetLayout(**stored)
        if wrong := mistyped_fields(layout):
            raise ValueError(f"no sensible {', '.join(wrong)}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WrongUseError(
            f"{root} is not a reachy-kit dataset ({LAYOUT_FILE} is missing or unreadable). "
            f"Record one: reachy-kit record --out {root}"
        ) from error
    if stored_as != storage:
        raise WrongUseError(f"{root} {_STORED_OTHERWISE[storage]}")
    return layout


def require_layout(root: Path, layout: DatasetLayout, storage: Storage = "lerobot") -> None:
    """Refuse a dataset that holds something else.

    Args:
        root: its folder.
        layout: what it must hold.
        storage: how its frames have to be stored.

    Raises:
        WrongUseError: the folder holds something else than a dataset.
        RefusedError: the dataset has another layout; the message names the first difference.
    """
    stored = read_layout(root, storage)
    names = ("action", "environment_state", "environment_state_units", "policy_hz", "control_hz", "task", "image_shape")
    for name in names:
        has, wants = getattr(stored, name), getattr(layout, name)
        if has != wants:
            raise RefusedError(
                f"{root} holds {name} {has}, this recording has {wants}. Record into another folder with --out"
            )


def _require_schema(root: Path, schema: object) -> None:
    if schema == SCHEMA:
        return
    age = "a newer" if isinstance(schema, int) and schema > SCHEMA else "an older"
    raise RefusedError(
        f"{root} was recorded by {age} reachy-kit (schema {schema}; this one reads schema {SCHEMA}). "
        "Record it again: reachy-kit record"
    )
