"""Statistics of a dataset's columns over all frames, in the form in which LeRobot stores them.

LeRobot adds up those of episodes, so its quantiles are means of quantiles; these are exact.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reachy_kit.dataset.dataset_index import column_values, read_table
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.recording.redo_log import Change
from reachy_kit.runtime.recording.schema import AUDIO

STATS = Path("meta/stats.json")
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
"""LeRobot's names of the quantiles it keeps. Source: DEFAULT_QUANTILES of lerobot.datasets.compute_stats (0.6.1)."""
_NOT_NUMBERS = ("video", "image", "string")
_WIDEST = 512
"""Numbers per frame of the widest column that is looked at."""


def write_statistics(change: Change, dataset: StoredDataset) -> None:
    """Write the statistics of a dataset's frames into a change; see ``statistics_text``."""
    change.replace(STATS.as_posix()).write_text(statistics_text(dataset))


def statistics_text(dataset: StoredDataset) -> str:
    """Text of the file of statistics; those of images are put together from the episodes' own.

    Raises:
        DamagedFileError: a table is missing or damaged, or lacks a column.
    """
    statistics = compute_statistics(dataset)
    for key, values in _image_statistics(dataset).items():
        statistics.setdefault(key, values)
    ordered = {key: statistics[key] for key in dataset.index.features if key in statistics}
    return json.dumps(ordered, indent=4, allow_nan=False)


def compute_statistics(dataset: StoredDataset) -> dict[str, dict[str, list[Any]]]:
    """Statistics of every column of numbers, over the values that are finite; a column without any is left out.

    Raises:
        DamagedFileError: a table is missing or damaged, or lacks a column.
    """
    wanted = [key for key, feature in dataset.index.features.items() if _is_numeric(key, feature)]
    total = len(dataset.episodes)
    parts: dict[str, list[npt.NDArray[Any]]] = {key: [] for key in wanted}
    for file in dataset.tables:
        table = read_table(dataset.root / file, [*wanted, "episode_index"])
        counted = np.asarray(table["episode_index"].to_numpy()) < total
        for key in wanted:
            values = column_values(table[key])
            parts[key].append(values.reshape(table.num_rows, -1)[counted])
    statistics = {}
    for key in wanted:
        shape = tuple(dataset.index.features[key].get("shape") or (1,))
        values = np.concatenate(parts.pop(key)).reshape(-1, *shape).astype(np.float64)
        if of_column := exact_statistics(values):
            statistics[key] = {name: value.tolist() for name, value in of_column.items()}
    return statistics


def as_floats(statistics: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Statistics of an episode's columns as floats, but for counts.

    Of one frame alone LeRobot gives integers, a column of another type than that of the other episodes.

    Args:
        statistics: arrays by column and by name.
    """
    return {
        key: {
            name: value if name == "count" or value.dtype.kind == "f" else value.astype(np.float64)
            for name, value in of_column.items()
        }
        for key, of_column in statistics.items()
    }


def is_finite(value: Any) -> bool:
    """Whether a value of JSON holds only finite numbers."""
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, list):
        return all(map(is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _image_statistics(dataset: StoredDataset) -> dict[str, dict[str, Any]]:
    """Statistics of the images, from those of the episodes; without any, those that are stored."""
    try:
        stored = json.loads((dataset.root / STATS).read_bytes())
    except (OSError, ValueError, RecursionError):
        stored = None
    stored = stored if isinstance(stored, dict) else {}
    images = {}
    for key, feature in dataset.index.features.items():
        if feature["dtype"] in ("video", "image"):
            values = _of_episodes(dataset, key) or stored.get(key)
            if isinstance(values, dict) and is_finite(values):
                images[key] = values
    return images


def _of_episodes(dataset: StoredDataset, key: str) -> dict[str, Any] | None:
    """Statistics of a column of images, put together from those of the episodes; None where an episode has none."""
    import pyarrow

    columns = {name: f"stats/{key}/{name}" for name in ("min", "max", "mean", "std", "count", *QUANTILES)}
    total, rows = len(dataset.episodes), dict[int, dict[str, Any]]()
    for file in sorted(dataset.root.glob("meta/episodes/*/*.parquet")):
        table: pyarrow.Table = read_table(file)
        if not set(columns.values()) <= set(table.schema.names):
            return None
        for row in table.select(["episode_index", *columns.values()]).to_pylist():
            rows[row["episode_index"]] = {name: np.array(row[column]) for name, column in columns.items()}
    if not set(range(total)) <= rows.keys():
        return None
    parts = [rows[index] for index in range(total)]
    count = np.array([float(part["count"].ravel()[0]) for part in parts])
    weights = (count / count.sum()).reshape(-1, *[1] * parts[0]["mean"].ndim)

    def stacked(name: str) -> npt.NDArray[np.float64]:
        return np.array([part[name].tolist() for part in parts], dtype=np.float64)

    mean = (weights * stacked("mean")).sum(axis=0)
    variance = (weights * (stacked("std") ** 2 + (stacked("mean") - mean) ** 2)).sum(axis=0)
    quantiles = {name: (weights * stacked(name)).sum(axis=0) for name in QUANTILES}
    numbers = {"min": stacked("min").min(axis=0), "max": stacked("max").max(axis=0), "mean": mean}
    numbers |= {"std": np.sqrt(variance), **quantiles}
    return {**{name: value.tolist() for name, value in numbers.items()}, "count": [int(count.sum())]}


def exact_statistics(values: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[Any]]:
    """Statistics of finite (frames, ...) numbers, per number, in LeRobot's order; empty if one has none."""
    finite = np.isfinite(values)
    if not len(values) or not finite.any(axis=0).all():
        return {}
    whole = bool(finite.all())  # numpy is slow where it has to look for NaN
    if not whole:
        values = np.where(finite, values, np.nan)
    names = ("min", "max", "mean", "std", "quantile")
    least, most, mean, std, quantile = (getattr(np, name if whole else f"nan{name}") for name in names)
    numbers = {
        "min": least(values, axis=0),
        "max": most(values, axis=0),
        "mean": mean(values, axis=0),
        "std": std(values, axis=0),
        "count": np.array([len(values)]),
    }
    quantiles = quantile(values, list(QUANTILES.values()), axis=0)
    return numbers | dict(zip(QUANTILES, quantiles, strict=True))


def _is_numeric(key: str, feature: Any) -> bool:
    shape = feature.get("shape") or (1,)
    return key != AUDIO and feature["dtype"] not in _NOT_NUMBERS and int(np.prod(shape)) <= _WIDEST
