"""A dataset written again from parts of others: episodes dropped, cut, put together, with other words and labels.

LeRobot has tools for some of this. They encode videos again that need not be, copy every table into a cache under the
home, and lose our layout and the files of others; so only its statistics and schemas are used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.dataset.care.video_cuts import cut_video, read_part
from reachy_kit.dataset.dataset_index import EpisodeEntry, column_values, read_table
from reachy_kit.dataset.robot_columns import names_of
from reachy_kit.dataset.saving.column_statistics import STATS, as_floats, statistics_text
from reachy_kit.dataset.saving.episode_video import image_stats, join_videos, video_kind
from reachy_kit.dataset.saving.imported_takes import read_imported_takes, write_imported_takes
from reachy_kit.dataset.saving.lerobot_episode import write_parquet
from reachy_kit.dataset.saving.lerobot_state import DATA, EPISODES, Number, place_of
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import Image
from reachy_kit.runtime.recording.layout import COPY_AGAIN, LAYOUT_FILE, layout_text
from reachy_kit.runtime.recording.schema import AUDIO, CAPTURE_TIME, IMAGE_TIME, OPERATOR, SUCCESS_MARK

_MB = 1024**2


@dataclass(frozen=True)
class EpisodePart:
    """An episode of the new dataset."""

    dataset: StoredDataset
    entry: EpisodeEntry
    begin: int = 0
    """First frame that is kept."""
    end: int | None = None
    """Frame after the last one that is kept; None for the episode's end."""
    instruction: str | None = None
    """The task in words; None leaves it."""
    operator: str | None = None
    """Pseudonym of the operator; None leaves it."""
    success: bool | None = None
    """Mark of the episode; None leaves it."""

    @property
    def length(self) -> int:
        """Number of frames."""
        return (self.entry.length if self.end is None else self.end) - self.begin

    @property
    def is_cut(self) -> bool:
        """Whether frames are left out."""
        return self.length < self.entry.length

    @property
    def words(self) -> str:
        """The task in words."""
        return self.entry.instruction if self.instruction is None else self.instruction


def all_parts(dataset: StoredDataset) -> list[EpisodePart]:
    """Every episode of a dataset as it is."""
    return [EpisodePart(dataset, entry) for entry in dataset.episodes]


def write_edited(root: Path, parts: Sequence[EpisodePart], provenance: dict[str, str] | None = None) -> None:
    """Write a LeRobot v3 dataset that holds the given episodes, in their order.

    Args:
        root: an empty folder.
        parts: of datasets with the same columns, at least one; the first one's metadata is kept.
        provenance: of the layout; None leaves the first one's.

    Raises:
        RefusedError: the datasets differ in their columns, or a file is missing or damaged.
        OSError: the disk is full or cannot be written.
    """
    _Writer(root, parts[0].dataset, provenance).write(parts)


@dataclass
class _Writer:
    """Files of a new dataset, and what its metadata will say about them."""

    root: Path
    first: StoredDataset
    provenance: dict[str, str] | None
    tasks: dict[str, int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Of the episodes' metadata."""
    stats: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._read = lru_cache(maxsize=2)(read_table)

    def write(self, parts: Sequence[EpisodePart]) -> None:
        """Write all files."""
        from lerobot.datasets.io_utils import load_info

        self.info = load_info(self.first.root)
        self.features: dict[str, Any] = self.info.features
        for dataset in dict.fromkeys(part.dataset for part in parts):
            _require_same_columns(dataset, self.first)
        self._schema = _schema(self.features)
        start = 0
        for index, part in enumerate(parts):
            self._describe(part, index, start)
            start += part.length
        self._write_tables(parts)
        for camera in (key for key, feature in self.features.items() if feature["dtype"] == "video"):
            self._write_videos(parts, camera)
        self._write_metadata(parts, start)

    def _describe(self, part: EpisodePart, index: int, start: int) -> None:
        self.tasks.setdefault(part.words, len(self.tasks))
        span = {"dataset_from_index": start, "dataset_to_index": start + part.length}
        self.rows.append({"episode_index": index, "tasks": [part.words], "length": part.length, **span})
        self.stats.append({})

    def _write_tables(self, parts: Sequence[EpisodePart]) -> None:
        """Frames of all episodes, a row group for each, in files of LeRobot's size."""
        from lerobot.datasets.compute_stats import compute_episode_stats

        number, group, size = (0, 0), list[Any](), 0
        for index, part in enumerate(parts):
            table = self._table(part, index)
            numbers = {
                key: _values(table[key], feature)
                for key, feature in self.features.items()
                if key in table.column_names and feature["dtype"] not in ("string", "image") and key != AUDIO
            }
            described = {key: self.features[key] for key in numbers}
            for key in (key for key, feature in self.features.items() if feature["dtype"] == "image"):
                self.stats[index][key] = self._stats_of_images(part, key, table[key])
            self.stats[index] |= as_floats(compute_episode_stats(numbers, described))
            if group and size + table.nbytes > self.info.data_files_size_in_mb * _MB:
                self._flush(number, group)
                number, group, size = self._following(number), [], 0
            group.append(table)
            size += table.nbytes
            self.rows[index] |= _numbered(DATA, number)
        self._flush(number, group)

    def _flush(self, number: Number, tables: list[Any]) -> None:
        path = self.root / place_of(DATA, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_parquet(path, tables)

    def _following(self, number: Number) -> Number:
        from lerobot.datasets.utils import update_chunk_file_indices

        following: Number = update_chunk_file_indices(*number, self.info.chunks_size)
        return following

    def _table(self, part: EpisodePart, index: int) -> Any:
        """The frames of an episode, with the columns that its place and its labels decide."""
        import pyarrow as pa
        from pyarrow import compute

        whole = self._read(part.dataset.root / part.entry.table)
        of_episode = whole.filter(compute.equal(whole["episode_index"], part.entry.index))
        if len(of_episode) != part.entry.length:
            raise RefusedError(
                f"{part.dataset.root / part.entry.table} lacks frames of episode {part.entry.index}. {COPY_AGAIN}"
            )
        table = of_episode.slice(part.begin, part.length)
        count = part.length
        changed = {
            "timestamp": np.arange(count) / self.info.fps,
            "frame_index": np.arange(count),
            "episode_index": np.full(count, index),
            "index": np.arange(count) + self.rows[index]["dataset_from_index"],
            "task_index": np.full(count, self.tasks[part.words]),
        }
        if part.begin:
            for key in (CAPTURE_TIME, IMAGE_TIME):
                if key in table.column_names:
                    changed[key] = table[key].to_numpy() - table[CAPTURE_TIME][0].as_py()
        if part.operator is not None and OPERATOR in table.column_names:
            changed[OPERATOR] = np.array([part.operator] * count)
        if part.success is not None and SUCCESS_MARK in table.column_names:
            changed[SUCCESS_MARK] = np.full(count, int(part.success))
        arrays = []
        for column in self._schema:
            if column.name in changed:
                arrays.append(pa.array(changed[column.name]).cast(column.type))
                continue
            values = table[column.name].combine_chunks()
            places = _places(part.dataset, self.first, column.name)
            arrays.append(_reordered(values, places, column.type))
        return pa.Table.from_arrays(arrays, schema=self._schema)

    def _write_videos(self, parts: Sequence[EpisodePart], camera: str) -> None:
        """Videos of a camera: each episode cut out, then joined to files of LeRobot's size."""
        folder, fps = f"videos/{camera}", self.info.fps
        cuts = self.root / f".cuts-{camera}"
        cuts.mkdir()
        number, group, size = (0, 0), list[tuple[int, Path]](), 0
        for index, part in enumerate(parts):
            source = part.entry.videos[camera]
            video, begin = part.dataset.root / source.file, source.begin + part.begin / fps
            cut = cuts / f"{index:06d}.mp4"
            images = cut_video(video, begin, part.length, fps, cut)
            self.stats[index][camera] = self._image_stats(part, camera, images, (video, begin))
            added = cut.stat().st_size
            limit = self.info.video_files_size_in_mb * _MB
            if group and (size + added > limit or video_kind(group[-1][1]) != video_kind(cut)):
                self._join(folder, number, group)
                number, group, size = self._following(number), [], 0
            group.append((index, cut))
            size += added
        self._join(folder, number, group)
        cuts.rmdir()

    def _image_stats(
        self, part: EpisodePart, camera: str, images: list[Any] | None, source: tuple[Path, float]
    ) -> dict[str, Any]:
        """Statistics of an episode's images: those that were recorded, if it is whole."""
        if not part.is_cut and (stored := _stored_stats(self._read, part, camera)):
            return stored
        return image_stats(images or read_part(*source, part.length, self.info.fps))

    def _stats_of_images(self, part: EpisodePart, camera: str, images: Any) -> dict[str, Any]:
        """Statistics of a column of images in a table: those that were recorded, if the episode is whole."""
        if not part.is_cut and (stored := _stored_stats(self._read, part, camera)):
            return stored
        return image_stats([_decoded(image, part) for image in images.to_pylist()])

    def _join(self, folder: str, number: Number, group: list[tuple[int, Path]]) -> None:
        path = self.root / place_of(folder, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        for (index, cut), begin in zip(group, join_videos([cut for _, cut in group], path), strict=True):
            end = begin + self.rows[index]["length"] / self.info.fps
            times = {f"{folder}/from_timestamp": begin, f"{folder}/to_timestamp": end}
            self.rows[index] |= _numbered(folder, number) | times
            cut.unlink()

    def _write_metadata(self, parts: Sequence[EpisodePart], frames: int) -> None:
        import pyarrow as pa
        from lerobot.datasets.utils import DEFAULT_TASKS_PATH, INFO_PATH
        from lerobot.utils.io_utils import write_json
        from lerobot.utils.utils import flatten_dict

        (self.root / "meta").mkdir(exist_ok=True)
        rows = [
            row | _lists(flatten_dict({"stats": stats})) | _numbered(EPISODES, (0, 0))
            for row, stats in zip(self.rows, self.stats, strict=True)
        ]
        path = self.root / place_of(EPISODES, (0, 0))
        path.parent.mkdir(parents=True)
        write_parquet(path, [pa.Table.from_pylist(rows)])
        tasks = pa.table({"task_index": list(self.tasks.values()), "task": list(self.tasks)})
        tasks.to_pandas().set_index("task").to_parquet(self.root / DEFAULT_TASKS_PATH)
        count = len(parts)
        self.info.total_episodes, self.info.total_frames, self.info.total_tasks = count, frames, len(self.tasks)
        self.info.splits = {"train": f"0:{count}"}
        if (self.first.root / LAYOUT_FILE).exists():
            words = max(self.tasks, key=lambda task: sum(part.words == task for part in parts))
            layout = self.first.layout
            layout = replace(layout, instruction=words or layout.instruction)
            if self.provenance is not None:
                layout = replace(layout, provenance=self.provenance)
            (self.root / LAYOUT_FILE).write_text(layout_text(layout, "lerobot"))
        sources = {self.first.root, *(part.dataset.root for part in parts)}
        write_imported_takes(self.root, frozenset[str]().union(*map(read_imported_takes, sources)))
        write_json(self.info.to_dict(), self.root / INFO_PATH)
        (self.root / STATS).write_text(statistics_text(StoredDataset(self.root)))


def _require_same_columns(dataset: StoredDataset, first: StoredDataset) -> None:
    """Refuse a dataset whose columns cannot stand below those of the first one.

    Raises:
        RefusedError: they differ; the message says in what.
    """
    if dataset.index.fps != first.index.fps:
        raise RefusedError(
            f"{dataset.root} has {dataset.index.fps} frames per second, {first.root} has {first.index.fps}. Merge "
            "datasets of one rate, or train on both with --dataset twice"
        )
    ours, theirs = first.index.features, dataset.index.features
    other = sorted(set(ours) ^ set(theirs))
    if other:
        holder = dataset if other[0] in theirs else first
        raise RefusedError(
            f"{dataset.root} and {first.root} differ in {', '.join(other)} ({other[0]} is in {holder.root} alone). "
            "Record both alike, or take the columns out with lerobot-edit-dataset remove_feature"
        )
    for key in ours:
        if list(ours[key]["shape"]) != list(theirs[key]["shape"]) or ours[key]["dtype"] != theirs[key]["dtype"]:
            raise RefusedError(
                f"{dataset.root} holds {key} as {theirs[key]['dtype']} {list(theirs[key]['shape'])}, {first.root} as "
                f"{ours[key]['dtype']} {list(ours[key]['shape'])}. They cannot be put together"
            )
        _places(dataset, first, key)


def _places(dataset: StoredDataset, first: StoredDataset, key: str) -> list[int] | None:
    """Where a dataset holds the numbers of a column in the first one's order; None if the order is the same."""
    ours, theirs = (names_of(of.index.features.get(key, {})) for of in (first, dataset))
    if ours == theirs or key in first.columns.cameras:
        return None
    if sorted(ours) != sorted(theirs):
        missing = sorted(set(ours) ^ set(theirs))
        raise RefusedError(
            f"{dataset.root} and {first.root} differ in {', '.join(missing)} of {key}. Record both alike"
        )
    return [theirs.index(name) for name in ours]


def _reordered(values: Any, places: list[int] | None, kind: Any) -> Any:
    import pyarrow as pa

    if places is None:
        return values.cast(kind)
    numbers = np.asarray(values.flatten()).reshape(len(values), -1)[:, places]
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1), type=kind.value_type), type=kind)


def _schema(features: dict[str, Any]) -> Any:
    from lerobot.datasets.feature_utils import get_hf_features_from_features

    return get_hf_features_from_features(features).arrow_schema


def _values(column: Any, feature: dict[str, Any]) -> Any:
    """Values of a column, (frames, ...) in the feature's shape; of one number alone (frames,)."""
    shape = tuple(feature["shape"])
    return column_values(column).reshape(len(column), *(() if shape == (1,) else shape))


def _stored_stats(read: Callable[[Path], Any], part: EpisodePart, camera: str) -> dict[str, Any]:
    """Statistics of an episode's images, as its dataset's metadata holds them; empty if it does not."""
    prefix = f"stats/{camera}/"
    for path in sorted(part.dataset.root.glob(f"{EPISODES}/*/*.parquet")):
        table = read(path)
        names = [name for name in table.column_names if name.startswith(prefix)]
        indices = table["episode_index"].to_pylist()
        if names and part.entry.index in indices:
            row = indices.index(part.entry.index)
            return {name.removeprefix(prefix): np.array(table[name][row].as_py()) for name in names}
    return {}


def _decoded(image: dict[str, Any], part: EpisodePart) -> Image:
    """An image of a table, (height, width, 3).

    Raises:
        RefusedError: it is damaged, or not in the table.
    """
    import av

    try:
        with av.open(BytesIO(image["bytes"] or b""), "r") as picture:
            decoded: Any = next(picture.decode(video=0))
    except (av.FFmpegError, StopIteration) as error:
        file = part.dataset.root / part.entry.table
        raise RefusedError(
            f"{file} lacks images of episode {part.entry.index}, or they are damaged. {COPY_AGAIN}"
        ) from error
    rgb: Image = decoded.to_ndarray(format="rgb24")
    return rgb


def _lists(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in row.items()}


def _numbered(folder: str, number: Number) -> dict[str, int]:
    return {f"{folder}/chunk_index": number[0], f"{folder}/file_index": number[1]}
