"""RK103. Counts and indices: what the metadata counts is what the tables hold, and frames stand in their order."""

import json
from collections.abc import Iterator

import numpy as np

from reachy_kit.dataset.checks.finding import Aspect, Finding, Severity, register_file_check
from reachy_kit.dataset.checks.fixes import register_fix
from reachy_kit.dataset.checks.remedies import fix_command
from reachy_kit.dataset.dataset_index import DamagedFileError, read_info
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.recording.layout import LEROBOT_INFO
from reachy_kit.runtime.recording.redo_log import Change

_FRAME, _TIME = "frame_index", "timestamp"
_TOLERANCE = 1e-4
"""Largest error of a time stamp, s. Source: LeRobot's tolerance_s, beyond which it refuses to decode a video."""


@register_file_check("RK103", "wrong counts, indices or time stamps", Aspect.METADATA, refuses=True)
def check_frame_counts(dataset: StoredDataset) -> Iterator[Finding]:
    """Find counts and indices that contradict the frames."""
    info, frames = read_info(dataset.root), sum(entry.length for entry in dataset.episodes)
    if info.get("total_frames") != frames:
        yield Finding(
            f"meta/info.json counts {info.get('total_frames')} frames, the episodes have {frames}",
            Severity.WARNING,
            remedy="Count again",
            command=fix_command(dataset.root),
            fixable=True,
        )
    disordered, misstamped = [], []
    for file in dataset.tables:
        try:
            of_file = dataset.read(file, _FRAME, _TIME)
        except DamagedFileError:
            continue  # another finding's
        for episode, columns in of_file.items():
            order = np.arange(len(columns[_FRAME]))
            if not np.array_equal(columns[_FRAME].ravel(), order):
                disordered.append(episode)
            elif np.abs(columns[_TIME].ravel() - order / dataset.index.fps).max(initial=0.0) > _TOLERANCE:
                misstamped.append(episode)
    for episodes, what, severity in (
        (disordered, "frames that do not stand in their order", Severity.ERROR),
        (misstamped, "time stamps other than frame / fps", Severity.WARNING),  # this kit's training reads none
    ):
        if episodes:
            yield Finding(
                f"{len(episodes)} episode{'s have' if len(episodes) > 1 else ' has'} {what}: LeRobot reads other "
                "images for them",
                severity,
                remedy="Write them again with the tool that made them",
                episodes=tuple(episodes),
            )


@register_fix("RK103")
def fix_frame_counts(change: Change, dataset: StoredDataset, instruction: str) -> None:
    """Count the frames again; indices and time stamps stay as they are."""
    info = json.loads((dataset.root / LEROBOT_INFO).read_bytes())
    info["total_frames"] = sum(entry.length for entry in dataset.episodes)
    change.replace(LEROBOT_INFO.as_posix()).write_text(json.dumps(info, indent=4))
