"""Layout of a dataset, in a file of our own beside LeRobot's: task, rates, features with units, provenance."""

import json
import sys
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from reachy_kit.runtime.durable_files import replace_file
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.folder_contents import contents, free_path
from reachy_kit.runtime.interface import ACTION_NAMES, CONTROL_HZ
from reachy_kit.runtime.json_record import mistyped_fields
from reachy_kit.runtime.recording.schema import SCHEMA
from reachy_kit.runtime.shell_command import compose_command, quote_argument

LAYOUT_FILE = Path("meta/reachy_kit.json")
LEROBOT_INFO = Path("meta/info.json")
type Storage = Literal["lerobot", "episode files"]
"""Storage of the frames."""
COPY_AGAIN = "Copy the file again from where the dataset came from"
"""Remedy for a file that is missing or damaged."""


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
    sound: tuple[str, ...] = ()
    """Names of the sound's features; empty without sound."""
    audio_samples: int = 0
    """Samples of the microphone in each frame; 0 where they are not kept."""
    control_hz: int = CONTROL_HZ
    action: tuple[str, ...] = ACTION_NAMES
    provenance: dict[str, str] = field(default_factory=dict, compare=False)
    """Origin of the recording: robot, teleop, perception, whose word ``next.success`` is, versions."""


_COMPARED = (
    *("action", "environment_state", "environment_state_units", "policy_hz", "control_hz", "task", "image_shape"),
    *("sound", "audio_samples"),
)
"""What a recording must share with the dataset that it continues; instructions may differ, as tasks of LeRobot do."""
_REQUIRED = tuple(
    field.name for field in fields(DatasetLayout) if field.default is MISSING and field.default_factory is MISSING
)


def write_layout(root: Path, layout: DatasetLayout, storage: Storage) -> None:
    """Write the layout's file into a dataset's folder, completely or not at all."""
    file = root / LAYOUT_FILE
    partial = file.with_name(f"{file.name}.partial")
    file.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(layout_text(layout, storage))
    replace_file(file, partial)


def layout_text(layout: DatasetLayout, storage: Storage) -> str:
    """Text of the layout's file."""
    return json.dumps({"schema": SCHEMA, "storage": storage, **asdict(layout)}, indent=2)


def read_layout(root: Path, storage: Storage = "lerobot") -> DatasetLayout:
    """The layout of a dataset that reachy-kit recorded.

    Args:
        root: its folder.
        storage: how its frames have to be stored.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: its layout is damaged, or another version of reachy-kit recorded it.
    """
    stored = _read_layout_file(root)
    _require_schema(root, stored)
    stored_as = stored.get("storage")
    if not isinstance(stored_as, str) or stored_as not in get_args(Storage.__value__):
        raise _damaged(root, f"storage {stored_as}")
    if stored_as != storage:
        raise WrongUseError(_describe_other_storage(root, stored_as))
    return _parse(root, stored)


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
    if difference := describe_difference(read_layout(root, storage), layout):
        raise RefusedError(f"{root} holds {difference}. Record into another folder with --out")


def describe_difference(
    stored: DatasetLayout,
    wanted: DatasetLayout,
    wants_it: str = "this recording has",
    names: Iterable[str] = _COMPARED,
) -> str:
    """The first difference between a dataset's layout and another one; empty if they are the same.

    Args:
        stored: layout of the dataset.
        wanted: the other one.
        wants_it: words before its part.
        names: what to compare.
    """
    for name in names:
        has, wants = getattr(stored, name), getattr(wanted, name)
        if has != wants:
            return f"{name} {has}, {wants_it} {wants}"
    return ""


def record_command(root: Path, layout: DatasetLayout | None = None) -> str:
    """Compose the command that records a dataset into a folder, or beside it if something else is there.

    Args:
        root: the folder.
        layout: of the dataset to record; None where it is not known.
    """
    out = free_path(root)
    if layout is None:
        return compose_command("record", out=out)
    variant, camera = layout.provenance.get("variant"), layout.image_shape is not None
    return compose_command("record", task=layout.task, variant=variant, hz=layout.policy_hz, camera=camera, out=out)


def _read_layout_file(root: Path) -> dict[str, Any]:
    file = root / LAYOUT_FILE
    try:
        stored = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise WrongUseError(_describe_absence(root)) from error
    except OSError as error:
        raise RefusedError(f"{file} cannot be read ({error.strerror}). Look at its permissions") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(root, "not JSON") from error
    if not isinstance(stored, dict):
        raise _damaged(root, "not a JSON object")
    return stored


def _parse(root: Path, stored: dict[str, Any]) -> DatasetLayout:
    """The layout in a file; keys that it does not know are left to the program that wrote them."""
    tuples = ("environment_state", "environment_state_units", "action", "image_shape", "sound")
    values: dict[str, Any] = {
        field.name: tuple(value) if field.name in tuples and isinstance(value, list) else value
        for field in fields(DatasetLayout)
        if (value := stored.get(field.name, MISSING)) is not MISSING
    }
    if missing := [name for name in _REQUIRED if name not in values]:
        raise _damaged(root, f"no {', '.join(missing)}")
    layout = DatasetLayout(**values)
    if wrong := mistyped_fields(layout):
        raise _damaged(root, f"no sensible {', '.join(wrong)}")
    return layout


def _damaged(root: Path, what: str) -> RefusedError:
    return RefusedError(f"{root / LAYOUT_FILE} is damaged ({what}). {COPY_AGAIN}")


def _require_schema(root: Path, stored: dict[str, Any]) -> None:
    schema = stored.get("schema", 1)
    if schema == SCHEMA:
        return
    if not isinstance(schema, int):
        raise _damaged(root, f"schema {schema}")
    again = f"record it again: {record_command(root)}"
    if schema < SCHEMA:
        raise RefusedError(
            f"{root} was recorded by an older reachy-kit (schema {schema}; this one reads schema {SCHEMA}). "
            f"Its frames lack what is needed now: {again}"
        )
    provenance = stored.get("provenance")
    version = provenance.get("reachy-kit") if isinstance(provenance, dict) else None
    raise RefusedError(
        f"{root} was recorded by a newer reachy-kit (schema {schema}; this one reads schema {SCHEMA}). "
        f"Use reachy-kit {version or 'of that version'} or newer, or {again}"
    )


def _describe_absence(root: Path) -> str:
    """What is where a dataset should be, and what to do about it."""
    wrong = f"{root} is not a reachy-kit dataset"
    if not root.is_dir():
        return f"{wrong}: it {'is a file' if root.exists() else 'does not exist'}. Record one: {record_command(root)}"
    if not contents(root):
        return f"{wrong}: it is empty. Record one: {record_command(root)}"
    if (root / LEROBOT_INFO).exists():
        return (
            f"{wrong}: it is one of LeRobot's{_lerobot_version(root)} that lacks {LAYOUT_FILE}, where the task and its "
            f"features are named. If reachy-kit recorded it, copy that file from the original; else record one: "
            f"{record_command(root)}"
        )
    known = LAYOUT_FILE, LEROBOT_INFO
    if inside := sorted({path.parent.parent for file in known for path in root.glob(f"*/{file}")}):
        return f"{wrong}, but a folder of datasets. Give one of them: {', '.join(map(str, inside))}"
    if any((root.resolve().parent / file).exists() for file in known):
        return f"{wrong}, but a part of one. Give the whole folder: {root.resolve().parent}"
    return f"{wrong}: it lacks {LAYOUT_FILE}. Record one: {record_command(root)}"


def _describe_other_storage(root: Path, stored_as: str) -> str:
    if stored_as == "lerobot":
        return f"{root} holds a LeRobot dataset, not episode files. Choose another folder"
    line = f"import_episodes({str(root)!r}, {str(free_path(root))!r})"
    code = f"from reachy_kit.dataset.episode_import import import_episodes; {line}"
    return f"{root} holds episode files. Import them: {quote_argument(sys.executable)} -c {quote_argument(code)}"


def _lerobot_version(root: Path) -> str:
    try:
        return f", format {json.loads((root / LEROBOT_INFO).read_bytes())['codebase_version']},"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
