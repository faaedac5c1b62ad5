"""The index of a LeRobot v3 dataset: its episodes and the files that hold them, as the metadata lists them.

It is read with pyarrow alone. LeRobot's reader copies each table into a cache under the user's home, and asks the
network for a file that it misses.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.folder_contents import free_path
from reachy_kit.runtime.recording.layout import COPY_AGAIN, LEROBOT_INFO
from reachy_kit.runtime.shell_command import compose_command

if TYPE_CHECKING:
    import pyarrow

FORMAT = "v3."
"""What ``codebase_version`` begins with in a dataset that this kit reads."""
TASKS = Path("meta/tasks.parquet")
_EPISODES = "meta/episodes/*/*.parquet"


class DamagedFileError(RefusedError):
    """A file of a dataset is missing or cannot be read; ``reason`` says which; ``what`` is all but the remedy."""

    remedy = COPY_AGAIN

    def __init__(self, file: Path, reason: str, episodes: Iterable[int] = ()) -> None:
        held = name_episodes(episodes)
        self.what = f"{file} {reason}{f'; it holds {held}' if held else ''}"
        super().__init__(f"{self.what}. {self.remedy}")
        self.reason = reason


@dataclass(frozen=True)
class VideoPart:
    """The part of a video that shows an episode."""

    file: Path
    """Relative to the dataset's folder."""
    begin: float
    """Time of the episode's first frame, s."""


@dataclass(frozen=True)
class EpisodeEntry:
    """What the metadata says about an episode."""

    index: int
    length: int
    """Number of its frames."""
    table: Path
    """File of its frames, relative to the dataset's folder."""
    instruction: str
    """Its task in words, as LeRobot has them; empty without any."""
    videos: Mapping[str, VideoPart]
    """By the column of the images."""


@dataclass(frozen=True)
class DatasetIndex:
    """Episodes of a dataset and their files."""

    root: Path
    fps: int
    episodes: tuple[EpisodeEntry, ...]
    """In the order of their indices, 0 to N - 1."""
    features: Mapping[str, Any]
    """LeRobot's columns by name: type, shape and names."""
    robot_type: str
    """LeRobot's name of the robot; empty if it is not known."""


def read_index(root: Path) -> DatasetIndex:
    """Read the metadata of a LeRobot v3 dataset.

    ``total_episodes`` is the truth: a recorder that is adding an episode changes it last, and what other files hold
    beyond it is ignored.

    Args:
        root: the dataset's folder.

    Raises:
        RefusedError: a file of the metadata is missing or damaged, or it is in another version of LeRobot's format.
    """
    info = read_info(root)
    total, fps, data, video = (info[key] for key in ("total_episodes", "fps", "data_path", "video_path"))
    if total:
        read_table(root / TASKS)
    cameras = [key for key, feature in info["features"].items() if feature["dtype"] == "video"]
    entries: dict[int, EpisodeEntry] = {}
    damaged: tuple[Path, str] | None = None
    for path in sorted(root.glob(_EPISODES)):
        try:
            rows = read_table(path, _columns(cameras)).to_pylist()
        except DamagedFileError as error:
            damaged = path, error.reason  # the others tell which episodes it holds
            continue
        try:
            entries |= {row["episode_index"]: _entry(row, cameras, data, video) for row in rows}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise DamagedFileError(root / LEROBOT_INFO, "is damaged (no sensible data_path, video_path)") from error
    missing = sorted(set(range(total)) - entries.keys())
    if missing and damaged:
        raise DamagedFileError(*damaged, missing)
    if missing:
        raise RefusedError(
            f"{root / 'meta/episodes'} lacks the file that lists {name_episodes(missing)}. Copy this folder again from "
            "where the dataset came from"
        )
    episodes = tuple(entries[index] for index in range(total))
    return DatasetIndex(root, fps, episodes, info["features"], str(info.get("robot_type") or ""))


def read_table(file: Path, columns: Sequence[str] | None = None, episodes: Iterable[int] = ()) -> "pyarrow.Table":
    """Read a Parquet file into memory.

    Args:
        file: its path.
        columns: to read; None for all.
        episodes: that it holds, for the message of an error.

    Raises:
        DamagedFileError: it is missing, damaged, or lacks a column.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as opened:
            lacking = sorted(set(columns or ()) - set(opened.schema_arrow.names))
            if lacking:
                raise DamagedFileError(file, f"lacks the column {', '.join(lacking)}", episodes)
            return opened.read(columns=columns)
    except FileNotFoundError as error:
        raise DamagedFileError(file, "is missing", episodes) from error
    except PermissionError as error:
        raise RefusedError(f"{file} cannot be read: {error.strerror}. Look at its permissions") from error
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DamagedFileError(file, "is damaged", episodes) from error


def column_values(column: "pyarrow.ChunkedArray") -> npt.NDArray[Any]:
    """Values of a column: (rows,), or (rows, N) for lists of one length, else all of them in a row."""
    import pyarrow

    flat = column.combine_chunks()
    while pyarrow.types.is_nested(flat.type):
        flat = flat.flatten()
    numbers = np.asarray(flat.to_numpy(zero_copy_only=False))
    even = len(column) and pyarrow.types.is_nested(column.type) and len(numbers) % len(column) == 0
    return numbers.reshape(len(column), -1) if even else numbers


def name_episodes(indices: Iterable[int]) -> str:
    """Episodes in words: ``episode 3``, ``episodes 0, 2 to 5``; empty without any."""
    runs = index_runs(indices)
    if not runs:
        return ""
    words = [f"{first} to {last}" if last > first else f"{first}" for first, last in runs]
    return f"episode{'s' if len(runs) > 1 or runs[0][1] > runs[0][0] else ''} {', '.join(words)}"


def index_runs(indices: Iterable[int]) -> list[tuple[int, int]]:
    """First and last index of each run of successive indices, in order."""
    runs: list[tuple[int, int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], index
        else:
            runs.append((index, index))
    return runs


def read_info(root: Path) -> dict[str, Any]:
    """Read ``meta/info.json``: version, rate, columns and paths of a dataset.

    Raises:
        RefusedError: it is missing or damaged, or of another version of LeRobot's format.
    """
    file = root / LEROBOT_INFO
    try:
        info = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise DamagedFileError(file, "is missing") from error
    except PermissionError as error:
        raise RefusedError(f"{file} cannot be read: {error.strerror}. Look at its permissions") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFileError(file, "is damaged") from error
    info = {"video_path": "", **info} if isinstance(info, dict) else {}
    version = info.get("codebase_version")
    if isinstance(version, str) and not version.startswith(FORMAT):
        raise RefusedError(
            f"{root} is in LeRobot's format {version}; this kit reads {FORMAT}x. Convert it into another folder: "
            f"{compose_command('dataset convert', root, out=free_path(root))}"
        )
    sensible = {
        "codebase_version": isinstance(version, str),
        "total_episodes": _is_whole(info.get("total_episodes"), least=0),
        "fps": _is_whole(info.get("fps"), least=1),
        "data_path": isinstance(info.get("data_path"), str),
        "features": _describes_columns(info.get("features")),
    }
    wrong = [key for key, good in sensible.items() if not good]
    if wrong:
        raise DamagedFileError(file, f"is damaged (no sensible {', '.join(wrong)})")
    return info


def _is_whole(value: object, *, least: int) -> bool:
    return isinstance(value, int) and value >= least


def _describes_columns(features: object) -> bool:
    return isinstance(features, dict) and all(
        isinstance(feature, dict) and "dtype" in feature for feature in features.values()
    )


def _columns(cameras: Sequence[str]) -> list[str]:
    of_videos = [f"videos/{key}/{name}" for key in cameras for name in ("chunk_index", "file_index", "from_timestamp")]
    return ["episode_index", "length", "tasks", "data/chunk_index", "data/file_index", *of_videos]


def _entry(row: Mapping[str, Any], cameras: Sequence[str], data: str, video: str) -> EpisodeEntry:
    def numbers(part: str) -> dict[str, int]:
        return {name: row[f"{part}/{name}"] for name in ("chunk_index", "file_index")}

    return EpisodeEntry(
        row["episode_index"],
        row["length"],
        Path(data.format(**numbers("data"))),
        next(iter(row["tasks"] or ()), ""),
        {
            key: VideoPart(
                Path(video.format(video_key=key, **numbers(f"videos/{key}"))), row[f"videos/{key}/from_timestamp"]
            )
            for key in cameras
        },
    )
