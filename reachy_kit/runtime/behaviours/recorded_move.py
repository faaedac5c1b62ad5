"""Recorded moves: the JSON of the maker's libraries and of the Marionette app, read and written.

A move is ``{"description", "time": [s], "set_target_data": [{"head", "antennas": [right, left], "body_yaw"}]}``, where
``head`` is a 4×4 pose, base ← head, or its 16 numbers in a row; ``body_yaw`` may be missing. A library is a folder of
them, or of a folder ``data`` of them. A sound may lie beside a move under the same name.

Written by people's browsers, they come with times that begin late or repeat, and with rotations that are off by a
fraction of a percent: both are put right. Other units are refused.
Source: reachy_mini.motion.recorded_move (1.13), and the community's moves on the Hub.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.runtime.durable_files import replace_file
from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.geometry import pose_from_vector, vector_from_pose
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, YAW, Action, Array

_LIBRARY_FOLDER = "data"
_FARTHEST = 0.3
"""Distance of a head from its neutral place that cannot be meant in metres, m."""
_LARGEST_ANGLE = 2 * np.pi
"""Angle of an antenna or the body that cannot be meant in radians, rad."""
_SKEW = 0.05
"""Deviation of a rotation matrix from the nearest rotation that is not rounding any more."""
_DIGITS = 6
"""Decimals that are written: a micrometre and a microradian."""


@dataclass(frozen=True)
class RecordedMove:
    """A move to play."""

    name: str
    """Name of its file."""
    description: str
    times: Array
    """(N,) s, from 0 on, increasing."""
    poses: Array
    """(N, 9) absolute targets in the order of ``ACTION_NAMES``, m and rad."""

    @property
    def seconds(self) -> float:
        """Length, s."""
        return float(self.times[-1])

    def pose(self, time: float) -> Action:
        """The (9,) targets at a time in s; before the start the first ones, after the end the last ones."""
        after = int(np.searchsorted(self.times, time, side="right"))
        if after == 0 or after == len(self.times):
            return np.array(self.poses[min(after, len(self.times) - 1)])
        since = (time - self.times[after - 1]) / (self.times[after] - self.times[after - 1])
        return np.asarray(self.poses[after - 1] + since * (self.poses[after] - self.poses[after - 1]))


def read_moves(path: Path) -> list[RecordedMove]:
    """The move of a file, or those of a library in the order of their names.

    Args:
        path: a move's JSON file, or a folder of them.

    Raises:
        WrongUseError: there is nothing of the kind.
        RefusedError: a move is damaged, or in other units.
    """
    if not path.exists():
        raise WrongUseError(f"{path} does not exist. Give a recorded move, a JSON file, or a folder of them")
    if not path.is_dir():
        return [read_move(path)]
    files = sorted([*path.glob("*.json"), *(path / _LIBRARY_FOLDER).glob("*.json")])
    moves = [read_move(file) for file in files if _holds_move(file)]
    if not moves:
        raise WrongUseError(f"{path} holds no recorded move: none of its {len(files)} JSON files has set_target_data")
    return moves


def read_move(file: Path) -> RecordedMove:
    """The move of a JSON file.

    Raises:
        WrongUseError: the file cannot be read, or is something else.
        RefusedError: the move is empty or damaged, or in other units.
    """
    stored = _read_json(file)
    if not isinstance(stored, dict) or "set_target_data" not in stored:
        raise WrongUseError(f"{file} is not a recorded move: it lacks set_target_data")
    try:
        times = np.array(stored["time"], dtype=np.float64)
        poses = np.array([_pose(frame) for frame in stored["set_target_data"]], dtype=np.float64).reshape(-1, 9)
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        raise RefusedError(f"{file} is damaged: {_describe(error)}. Record the move again") from error
    if len(times) != len(poses) or times.ndim != 1:
        raise RefusedError(f"{file} is damaged: {times.size} times for {len(poses)} poses. Record the move again")
    if not (len(times) and np.isfinite(times).all() and np.isfinite(poses).all()):
        what = "damaged: not all of it is numbers" if len(times) else "empty"
        raise RefusedError(f"{file} is {what}. Record the move again")
    _require_units(file, poses)
    later = np.concatenate([[True], times[1:] > np.maximum.accumulate(times)[:-1]])  # the first of equal times counts
    poses[:, YAW] = np.unwrap(poses[:, YAW])  # so that interpolation takes the short way
    return RecordedMove(file.stem, str(stored.get("description", "")), times[later] - times[0], poses[later])


def write_move(file: Path, move: RecordedMove) -> None:
    """Write a move, whole or not at all.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    frames = [
        {
            "head": np.round(pose_from_vector(pose), _DIGITS).tolist(),
            "antennas": np.round(pose[ANTENNAS], _DIGITS).tolist(),
            "body_yaw": round(float(pose[BODY_YAW]), _DIGITS),
            "check_collision": False,
        }
        for pose in move.poses
    ]
    text = json.dumps(
        {"description": move.description, "time": np.round(move.times, _DIGITS).tolist(), "set_target_data": frames}
    )
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        replace_file(file, partial)
    finally:
        partial.unlink(missing_ok=True)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise WrongUseError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise WrongUseError(f"{file} is not a recorded move: it is not JSON") from error


def _holds_move(file: Path) -> bool:
    stored = _read_json(file)
    return isinstance(stored, dict) and "set_target_data" in stored


def _pose(frame: dict[str, Any]) -> Array:
    """The (9,) vector of a frame.

    Raises:
        ValueError: its head is not a pose.
    """
    head = np.array(frame["head"], dtype=np.float64).reshape(4, 4)
    # The nearest rotation in the sense of least squares: orthogonal Procrustes (Schönemann 1966).
    u, _, v = np.linalg.svd(head[:3, :3])
    rotation = u @ v
    if np.linalg.det(rotation) < 0 or np.abs(rotation - head[:3, :3]).max() > _SKEW:
        raise ValueError("a head that is not a 4×4 pose")
    head[:3, :3] = rotation
    right, left = frame["antennas"]
    return np.concatenate([vector_from_pose(head), [frame.get("body_yaw") or 0.0, right, left]])


def _require_units(file: Path, poses: Array) -> None:
    farthest, largest = np.abs(poses[:, :3]).max(), np.abs(poses[:, BODY_YAW:]).max()
    if farthest > _FARTHEST:
        raise RefusedError(
            f"{file}: its head is {farthest:.3g} m from its place. That looks like millimetres, not metres"
        )
    if largest > _LARGEST_ANGLE:
        raise RefusedError(f"{file}: an angle of {largest:.3g} rad. That looks like degrees, not radians")


def _describe(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)
