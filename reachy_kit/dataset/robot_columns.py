"""Columns of this robot in anybody's dataset: the numbers that are its state, its action and its features.

They are taken by name, so they may stand in another order and beside others. LeRobot's recorder keeps every number that
a robot reports in ``observation.state``; there the features and the last action are found by their names too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES, CAMERA
from reachy_kit.runtime.perception.features import feature_by_name
from reachy_kit.runtime.recording.schema import ACTION, IMAGE, OBS_ENV_STATE, OBS_LAST_ACTION, OBS_STATE

_SUFFIX = ".pos"
_LAST = "last_"
"""What the names of the last action begin with where they stand in the state."""


@dataclass(frozen=True)
class Numbers:
    """Numbers of a column, by name."""

    key: str
    """The column."""
    width: int
    """Numbers per frame in that column."""
    places: tuple[int, ...]
    """Which of them, in the order of ``names``."""
    names: tuple[str, ...]


@dataclass(frozen=True)
class RobotColumns:
    """Where a dataset keeps what this kit reads."""

    state: Numbers
    action: Numbers
    environment_state: Numbers | None
    """None for a dataset without features."""
    last_action: Numbers | None
    """None where it follows from the actions."""
    cameras: tuple[str, ...]
    """Columns with images."""
    camera: str | None
    """The head camera's column: the one of that name, or the only one."""

    def image_shape(self, features: Mapping[str, Any]) -> tuple[int, int, int] | None:
        """Height, width and 3 of the head camera's images; None without one."""
        if self.camera is None:
            return None
        feature = features[self.camera]
        shape, names = tuple(feature["shape"]), list(feature.get("names") or ())
        if names[:1] in (["channels"], ["channel"]):
            shape = (*shape[1:], shape[0])
        return shape


def find_columns(root: Path, features: Mapping[str, Any], camera: str = "") -> RobotColumns:
    """Find a dataset's columns by the names of their numbers.

    Args:
        root: the dataset's folder, for messages.
        features: of its ``meta/info.json``.
        camera: name or column of the head's camera; empty for the one called so, or the only one.

    Raises:
        RefusedError: the state or the action is not this robot's, or there is no such camera.
    """
    state, action = (_nine(root, features, key) for key in (OBS_STATE, ACTION))
    cameras = tuple(key for key, feature in features.items() if feature["dtype"] in ("video", "image"))
    return RobotColumns(
        state,
        action,
        _whole(features, OBS_ENV_STATE) or _among(features, _is_feature),
        _nine(root, features, OBS_LAST_ACTION)
        if OBS_LAST_ACTION in features
        else _among(features, lambda name: name.startswith(_LAST), tuple(f"{_LAST}{name}" for name in ACTION_NAMES)),
        cameras,
        _head_camera(root, cameras, camera),
    )


def names_of(feature: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of a column's numbers, as LeRobot writes them: a list, or lists by a name; empty without names."""
    names = feature.get("names")
    if isinstance(names, dict):
        names = [name for part in names.values() if isinstance(part, list) for name in part]
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _nine(root: Path, features: Mapping[str, Any], key: str) -> Numbers:
    """The nine numbers of this robot in a column."""
    names = names_of(features[key]) if key in features else ()
    if not names:
        lacks = "does not name its numbers" if key in features else "is missing"
        raise RefusedError(
            f"{root}: {key} {lacks}; a Reachy Mini has {', '.join(ACTION_NAMES)}. Name them in meta/info.json, in the "
            "order in which they are stored"
        )
    full = [name if name.endswith(_SUFFIX) else f"{name}{_SUFFIX}" for name in names]
    missing = [name for name in ACTION_NAMES if name not in full]
    if missing:
        others = [name for name in names if name not in ACTION_NAMES]
        has = f"; it has {', '.join(others)}" if others else ""
        raise RefusedError(
            f"{root}: {key} lacks {', '.join(missing)} of a Reachy Mini{has}. Use a dataset of this robot, or rename "
            "the numbers in meta/info.json if they are the same"
        )
    return Numbers(key, len(names), tuple(full.index(name) for name in ACTION_NAMES), ACTION_NAMES)


def _whole(features: Mapping[str, Any], key: str) -> Numbers | None:
    names = names_of(features[key]) if key in features else ()
    return Numbers(key, len(names), tuple(range(len(names))), names) if names else None


def _among(features: Mapping[str, Any], wanted: Any, required: Sequence[str] = ()) -> Numbers | None:
    """Further numbers in the state, in their order or in the required one."""
    stored = names_of(features[OBS_STATE])
    plain = {name.removesuffix(_SUFFIX): place for place, name in enumerate(stored) if name not in ACTION_NAMES}
    names = [name for name in plain if wanted(name)]
    if required:
        names = [name.removesuffix(_SUFFIX) for name in required]
        if not set(names) <= plain.keys():
            return None
    return Numbers(OBS_STATE, len(stored), tuple(plain[name] for name in names), tuple(names)) if names else None


def _is_feature(name: str) -> bool:
    try:
        feature_by_name(name)
    except WrongUseError:
        return False
    return True


def _head_camera(root: Path, cameras: Sequence[str], wanted: str) -> str | None:
    if wanted:
        key = next((key for key in cameras if wanted in (key, key.rpartition(".")[2])), None)
        if key is None:
            has = f"it has {', '.join(cameras)}" if cameras else "it has none"
            raise RefusedError(f"{root} has no camera {wanted}; {has}")
        return key
    if IMAGE in cameras:
        return IMAGE
    heads = [key for key in cameras if CAMERA in key.rpartition(".")[2]]
    return heads[0] if len(heads) == 1 else cameras[0] if len(cameras) == 1 else None
