"""Episodes of a dataset as recorded moves: what was taught by hand can be played by the maker's own tools.

Try it: reachy-kit dataset moves data/wave --out moves
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reachy_kit.dataset.reading import open_for_reading
from reachy_kit.runtime.behaviours.recorded_move import RecordedMove, write_move
from reachy_kit.runtime.durable_files import check_folder
from reachy_kit.runtime.errors import KitError, RefusedError, WrongUseError
from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.recording.schema import ACTION, OBS_LAST_ACTION


def export_moves(dataset: Path, out: Path, episodes: Sequence[int] = ()) -> list[Path]:
    """Write episodes as recorded moves, a JSON file each.

    Args:
        dataset: folder of the dataset.
        out: folder of the moves, new, or with other moves.
        episodes: indices; none for all.

    Returns:
        The files.

    Raises:
        WrongUseError: an episode does not exist.
        RefusedError: the dataset is damaged, or of another robot, or a move of that name exists.
        KitError: the disk is full.
    """
    stored = open_for_reading(dataset)
    if stored.layout.action != ACTION_NAMES:
        raise RefusedError(f"{dataset} holds the actions {', '.join(stored.layout.action)}: they are another robot's")
    chosen = list(dict.fromkeys(episodes)) or list(range(len(stored.episodes)))
    if unknown := [index for index in chosen if not 0 <= index < len(stored.episodes)]:
        raise WrongUseError(f"{dataset} has no episode {unknown[0]}; it has {len(stored.episodes)}, from 0 on")
    check_folder(out)
    stem = re.sub(r"\W+", "_", dataset.resolve().name).strip("_") or "move"
    files = [out / f"{stem}_{index:03d}.json" for index in chosen]
    if taken := [file for file in files if file.exists()]:
        raise RefusedError(f"{taken[0]} exists and is not overwritten. Choose another folder with --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for index, file in zip(chosen, files, strict=True):
            entry = stored.episodes[index]
            columns = stored.read(entry.table)[index]
            # An action is reached at the end of its step; the move begins where the robot stood before the first.
            poses = np.concatenate([columns[OBS_LAST_ACTION][:1], columns[ACTION]]).astype(np.float64)
            times = np.arange(len(poses)) / stored.layout.policy_hz
            write_move(file, RecordedMove(file.stem, stored.layout.instruction, times, poses))
    except OSError as error:
        raise KitError(f"{out} cannot be written ({error.strerror}). Make room, or choose another folder") from error
    return files
