"""Frames of many episodes side by side in arrays, so that a check needs no loop over episodes.

They come from a dataset's tables, or from a single take in memory.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reachy_kit.dataset.checks.remedies import drop_command
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.interface import Array
from reachy_kit.runtime.recording.layout import DatasetLayout
from reachy_kit.runtime.recording.schema import (
    ACTION,
    CAPTURE_TIME,
    IMAGE_TIME,
    OBS_ENV_STATE,
    OBS_LAST_ACTION,
    OBS_STATE,
    REQUESTED_ACTION,
    SEED,
    SUCCESS,
    SUCCESS_MARK,
    Frame,
)

type Mask = npt.NDArray[np.bool_]
type Indices = npt.NDArray[np.int64]
OPTIONAL = (CAPTURE_TIME, IMAGE_TIME, SEED, SUCCESS, SUCCESS_MARK, REQUESTED_ACTION)
"""Columns that a dataset may lack."""


class CheckedEpisodes:
    """Episodes to be checked, F frames in all.

    Args:
        layout: of the dataset.
        fps: declared frames per second.
        indices: of the E episodes, those without a frame left out.
        lengths: frames of each.
        read: a column of all frames, (F, ...), by its key; None where there is no such column.
        root: folder of the dataset; None for a take in memory.
    """

    def __init__(
        self,
        layout: DatasetLayout,
        fps: int,
        indices: Sequence[int],
        lengths: Sequence[int],
        read: Callable[[str], npt.NDArray[Any] | None],
        root: Path | None = None,
    ) -> None:
        self.layout, self.fps, self.root = layout, fps, root
        self.indices: Indices = np.array(indices, dtype=np.int64)
        self.lengths: Indices = np.array(lengths, dtype=np.int64)
        self.starts: Indices = np.cumsum([0, *self.lengths[:-1]]) if len(indices) else self.lengths
        self._read, self._columns = read, dict[str, npt.NDArray[Any] | None]()

    @classmethod
    def of_dataset(cls, dataset: StoredDataset, without: Collection[int] = ()) -> "CheckedEpisodes":
        """Episodes of a dataset, but those with some indices. Its tables are read when a column is asked for."""
        kept = [entry for entry in dataset.episodes if entry.length and entry.index not in without]
        optional = tuple(key for key in OPTIONAL if dataset.has_column(key))

        def read(key: str) -> npt.NDArray[Any] | None:
            if not kept or (key not in dataset.vectors and key not in optional):
                return None
            keys = () if key in dataset.vectors else optional
            values: npt.NDArray[Any] = np.concatenate(
                [dataset.read(entry.table, *keys)[entry.index][key] for entry in kept]
            )
            return values

        indices, lengths = [entry.index for entry in kept], [entry.length for entry in kept]
        return cls(dataset.layout, dataset.index.fps, indices, lengths, read, dataset.root)

    @classmethod
    def of_take(cls, frames: Sequence[Frame], layout: DatasetLayout) -> "CheckedEpisodes":
        """A single take that is in memory, as episode 0."""

        def read(key: str) -> npt.NDArray[Any] | None:
            return np.stack([frame[key] for frame in frames]) if key in frames[0] else None

        indices = [0] if frames else []
        return cls(layout, layout.policy_hz, indices, [len(frames)] if frames else [], read)

    def column(self, key: str) -> npt.NDArray[Any] | None:
        """A column of all frames, (F, N), or (F,) if it holds one number; None where there is no such column."""
        if key not in self._columns:
            values = self._read(key)
            if values is not None and values.ndim == 2 and values.shape[1] == 1 and key not in self.vectors:
                values = values[:, 0]
            self._columns[key] = values
        return self._columns[key]

    @property
    def vectors(self) -> dict[str, tuple[str, ...]]:
        """Columns that a policy may learn from: their keys, and the names of their numbers."""
        action = self.layout.action
        return {
            OBS_STATE: action,
            OBS_ENV_STATE: self.layout.environment_state,
            OBS_LAST_ACTION: action,
            ACTION: action,
        }

    @cached_property
    def action(self) -> Array:
        """(F, 9) the applied actions."""
        return self._nine(ACTION)

    @cached_property
    def state(self) -> Array:
        """(F, 9) the measured states."""
        return self._nine(OBS_STATE)

    @cached_property
    def times(self) -> Array | None:
        """(F,) s, when each state was measured; None where that was not recorded, or is not finite."""
        times = self.column(CAPTURE_TIME)
        if times is None or not np.isfinite(times).all():
            return None
        return times.astype(np.float64)

    @cached_property
    def places(self) -> Indices:
        """(F,) which of the E episodes each frame belongs to."""
        return np.repeat(np.arange(len(self.indices)), self.lengths)

    @property
    def ends(self) -> Indices:
        """(E,) row of the last frame of each episode."""
        return self.starts + self.lengths - 1

    def followed(self, frames: int) -> Mask:
        """(F − frames,) whether the frame so many rows later is of the same episode."""
        if frames >= len(self.places):
            return np.zeros(0, dtype=np.bool_)
        return np.asarray(self.places[frames:] == self.places[: len(self.places) - frames])

    def steps(self, values: Array, order: int = 1) -> tuple[Array, Indices]:
        """Differences between successive frames of the same episode.

        Args:
            values: (F, ...).
            order: times that differences are taken.

        Returns:
            (S, ...) differences, and (S,) the places of their episodes.
        """
        inside = self.followed(order)
        if not len(inside):
            return np.zeros((0, *values.shape[1:])), np.zeros(0, dtype=np.int64)
        return np.diff(values, n=order, axis=0)[inside], self.places[order:][inside]

    def total(self, values: npt.NDArray[Any]) -> Array:
        """(E, ...) sums over the frames of each episode, of (F, ...) values."""
        return np.asarray(np.add.reduceat(values.astype(np.float64), self.starts, axis=0))

    def mean(self, values: npt.NDArray[Any]) -> Array:
        """(E, ...) means over the frames of each episode, of (F, ...) values."""
        lengths = self.lengths.reshape(-1, *[1] * (values.ndim - 1))
        return self.total(values) / lengths

    def centred(self, values: Array) -> Array:
        """(F, ...) values less the mean of their episode."""
        return values - self.mean(values)[self.places]

    def named(self, places: Iterable[int] | Mask) -> tuple[int, ...]:
        """Indices of the episodes at some of the E places, given as a mask or as numbers."""
        chosen = np.asarray(list(places) if not isinstance(places, np.ndarray) else places)
        chosen = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64)
        return tuple(int(index) for index in self.indices[chosen])

    def drop_command(self, episodes: Sequence[int]) -> str:
        """The command that drops episodes; empty for a take, or where none would be left."""
        if self.root is None or len(episodes) >= len(self.indices):
            return ""
        return drop_command(self.root, episodes)

    def _nine(self, key: str) -> Array:
        values = self.column(key)
        if values is None:
            return np.zeros((0, len(self.layout.action)))
        return values.astype(np.float64)
