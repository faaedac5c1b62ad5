"""Cutting the ends of episodes: by seconds, or the dead time before the first motion and after the last one.

Try it: reachy-kit dataset trim data/look_at
"""

import math
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reachy_kit.dataset.care.edited_dataset import EpisodePart, all_parts
from reachy_kit.dataset.checks.timing.dead_time import shows_target
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ACTION_UNITS, Array
from reachy_kit.runtime.recording.schema import ACTION, OBS_ENV_STATE
from reachy_kit.workflows.datasets.dataset_care import EditedDataset, chosen_episodes, edit_dataset
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter

type Flags = npt.NDArray[np.bool_]
_LEAD, _TAIL = 0.2, 1.0
"""Time kept before the first motion and after the last one when dead time is cut, s: holding still at the end is what a
task asks for, for half a second or more."""
_STILL = {"m": 0.001, "rad": 0.01}
"""Largest change of an action in dead time, by unit."""
_SHORTEST = 2
"""Frames that an episode must keep."""


def trim_episodes(
    root: Path,
    episodes: Collection[int] = (),
    *,
    start: float | None = None,
    end: float | None = None,
    out: Path | None = None,
    reporter: Reporter = SILENT,
) -> EditedDataset:
    """Cut the ends of episodes: by seconds, or the time before the first and after the last motion.

    Times of capture count from the new first frame. Frames that show no target stay: waiting for one is worth learning.

    Args:
        root: the dataset's folder.
        episodes: indices of those to cut; none for all.
        start: s to cut from the beginning; with neither ``start`` nor ``end``, dead time is cut.
        end: s to cut from the end.
        out: where to write; None to put the new dataset in the place of the old one.
        reporter: shows that it works.

    Raises:
        WrongUseError: an index does not exist, or nothing would be left of an episode.
        RefusedError: the dataset is damaged, recorded into or read.
        KitError: the disk is full or cannot be written; the dataset is as it was.
    """
    cut: list[int] = []

    def edit(dataset: StoredDataset) -> list[EpisodePart]:
        chosen = set(chosen_episodes(dataset, episodes))
        parts = []
        for part in all_parts(dataset):
            if part.entry.index in chosen:
                first, last = _living(dataset, part) if start is None and end is None else _within(part, start, end)
                rest = replace(part, begin=first, end=last)
                if rest.length < _SHORTEST:
                    length = part.entry.length / dataset.index.fps
                    raise WrongUseError(
                        f"episode {part.entry.index} of {root} lasts {length:.2f} s: nothing would be left. Cut less, "
                        "or drop it"
                    )
                cut.extend([part.entry.index] if rest.is_cut else [])
                parts.append(rest)
            else:
                parts.append(part)
        return parts

    return replace(edit_dataset(root, out, edit, [], reporter), changed=tuple(cut))


def _within(part: EpisodePart, start: float | None, end: float | None) -> tuple[int, int]:
    """First frame and frame after the last one after a cut by seconds."""
    if not all(0 <= seconds < math.inf for seconds in (start or 0, end or 0)):
        raise WrongUseError("--start and --end are seconds to cut, 0 or more")
    fps = part.dataset.index.fps
    return round((start or 0) * fps), part.entry.length - round((end or 0) * fps)


def _living(dataset: StoredDataset, part: EpisodePart) -> tuple[int, int]:
    """First frame and frame after the last one without the dead time; the whole episode if nothing moves."""
    columns, fps = dataset.read(part.entry.table)[part.entry.index], dataset.index.fps
    visible = shows_target(dataset.layout.environment_state, columns[OBS_ENV_STATE])
    started = _differs(columns[ACTION], columns[ACTION][0]) | ~visible
    stopped = _differs(columns[ACTION], columns[ACTION][-1]) | ~visible
    if not started.any() or not stopped.any():
        return 0, part.entry.length
    first = int(np.argmax(started)) - round(_LEAD * fps)
    last = len(stopped) - int(np.argmax(stopped[::-1])) + round(_TAIL * fps)
    return max(0, first), min(part.entry.length, last)


def _differs(actions: Array, pose: Array) -> Flags:
    still = np.array([_STILL[unit] for unit in ACTION_UNITS])
    return np.asarray((np.abs(actions - pose) > still).any(axis=1))
