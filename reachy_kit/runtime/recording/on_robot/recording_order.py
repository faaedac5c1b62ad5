"""The order of a recording: everything that a desktop tells the recorder on the robot, in one JSON file."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.json_record import mistyped_fields
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.robots.daemon import DEFAULT_PORT

ORDER, STATUS, LOG, LOCK = "order.json", "recorder.json", "recorder.log", "recorder.lock"
"""Files of the recorder, in its folder on the robot."""


@dataclass(frozen=True)
class RecordingOrder:
    """What to record, and how."""

    session: str
    """Name of the session; a desktop finds its own again by it."""
    by: str
    """User and computer that gave the order, for messages."""
    folder: str
    """Folder of the episode files, on the robot."""
    layout: dict[str, Any]
    """Fields of the `DatasetLayout`; the robot adds the images' shape and its own name."""
    camera: bool
    wanted: int
    """Episodes that the folder holds in the end."""
    first_seed: int
    seeds: int
    """Seeds of the takes: this many from the first one."""
    instructions: list[str]
    operator: str
    seconds: float | None
    """Length of a take, s; None = until the person stops it."""
    teleop: str
    """The device on the robot, ``NAME`` or ``NAME:ARGUMENT``; empty where the desktop's device drives."""
    target: str
    """What perception looks for in the camera's images, as ``--target`` gives it."""
    port: int = DEFAULT_PORT
    """Of the daemon, on the robot."""
    patience: float = 60.0
    """Time without the desktop after which the take is kept as it is and the session ends, s."""

    def dataset_layout(self, robot: str, image_shape: tuple[int, int, int] | None) -> DatasetLayout:
        """The layout with what the robot alone knows."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in self.layout.items()
        }
        values["provenance"] = values.get("provenance", {}) | {"robot": robot, "success": "operator"}
        values["image_shape"] = image_shape
        return DatasetLayout(**values)


def order_text(order: RecordingOrder) -> str:
    """Text of an order's file."""
    return json.dumps(asdict(order), indent=2)


def read_order(path: Path) -> RecordingOrder:
    """The order in a file.

    Raises:
        WrongUseError: the file holds none that this version understands.
    """
    try:
        stored = json.loads(path.read_bytes())
        order = RecordingOrder(**{field.name: stored[field.name] for field in fields(RecordingOrder)})
        if wrong := mistyped_fields(order):
            raise ValueError(f"no sensible {', '.join(wrong)}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongUseError(f"{path} is not an order of this version of reachy-kit ({error!r})") from error
    return order
