"""What a dataset holds, for people and programs: the whole of it, or an episode as a picture.

Try it: reachy-kit dataset show data/look_at --episode 0 --out episode.png
"""

from collections import Counter
from dataclasses import dataclass
from math import degrees
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.dataset.care.video_cuts import read_part
from reachy_kit.dataset.dataset_index import DamagedFileError
from reachy_kit.dataset.reading import open_for_reading, open_videos
from reachy_kit.dataset.stored_dataset import StoredDataset
from reachy_kit.runtime.durable_files import begins_with, check_file
from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interface import ACTION_NAMES, ANGLE_AXES, POSITION_AXES, Array, Image
from reachy_kit.runtime.recording.schema import ACTION, OBS_ENV_STATE, OBS_STATE, OPERATOR, SUCCESS, SUCCESS_MARK
from reachy_kit.workflows.datasets.dataset_care import chosen_episodes

_FRAMES = 6
"""Images of an episode that a picture shows."""
_PNG = b"\x89PNG"


@dataclass(frozen=True)
class EpisodeSummary:
    """What an episode holds."""

    index: int
    frames: int
    seconds: float
    instruction: str
    operator: str
    success: bool | None
    """The operator's mark, else whether its world ever measured a success; None without either."""
    position_range: float
    """Largest range of the head's commanded position along an axis, m."""
    angle_range: float
    """Largest range of a commanded angle, rad."""


@dataclass(frozen=True)
class DatasetSummary:
    """What a dataset holds."""

    dataset: Path
    task: str
    fps: int
    episodes: tuple[EpisodeSummary, ...]
    instructions: dict[str, int]
    """Words → number of their episodes."""
    features: tuple[str, ...]
    cameras: tuple[str, ...]
    columns: tuple[str, ...]
    provenance: dict[str, str]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return sum(episode.frames for episode in self.episodes)


def summarize_dataset(root: Path) -> DatasetSummary:
    """Summarize a LeRobot v3 dataset of this robot.

    Raises:
        WrongUseError: the folder holds something else.
        RefusedError: it is damaged.
    """
    dataset = open_for_reading(root)
    episodes = tuple(_summarize(dataset, entry.index) for entry in dataset.episodes)
    return DatasetSummary(
        root,
        dataset.layout.task,
        dataset.index.fps,
        episodes,
        dict(Counter(episode.instruction for episode in episodes)),
        dataset.layout.environment_state,
        dataset.columns.cameras,
        tuple(dataset.index.features),
        dataset.layout.provenance,
    )


def draw_episode(root: Path, episode: int, out: Path) -> EpisodeSummary:
    """Draw an episode into a PNG file: images of the head's camera, and its poses, commands and features over time.

    Args:
        root: the dataset's folder.
        episode: index of the episode.
        out: the file.

    Raises:
        WrongUseError: there is no such dataset or episode, or the file cannot be written.
        RefusedError: the dataset is damaged, or the file is of another kind.
    """
    check_file(out, "a PNG image", begins_with(_PNG))
    dataset = open_for_reading(root)
    chosen_episodes(dataset, [episode])
    summary = _summarize(dataset, episode)
    try:
        out.write_bytes(_picture(dataset, summary, _images(root, dataset, episode)))
    except OSError as error:
        raise KitError(f"{out} cannot be written: {error.strerror}. Choose another --out") from error
    return summary


def _summarize(dataset: StoredDataset, index: int) -> EpisodeSummary:
    entry = dataset.episodes[index]
    columns = dataset.read(entry.table)[index]
    ranges = np.ptp(columns[ACTION].astype(float), axis=0)
    return EpisodeSummary(
        index,
        entry.length,
        entry.length / dataset.index.fps,
        entry.instruction,
        str(_first(dataset, index, OPERATOR, "")),
        _success(dataset, index),
        float(ranges[POSITION_AXES].max()),
        float(ranges[ANGLE_AXES].max()),
    )


def _first(dataset: StoredDataset, index: int, key: str, default: Any) -> Any:
    if not dataset.has_column(key):
        return default
    return dataset.read(dataset.episodes[index].table, key)[index][key][0]


def _success(dataset: StoredDataset, index: int) -> bool | None:
    mark = int(_first(dataset, index, SUCCESS_MARK, -1))
    if mark >= 0:
        return bool(mark)
    if not dataset.has_column(SUCCESS):
        return None
    measured = dataset.read(dataset.episodes[index].table, SUCCESS)[index][SUCCESS]
    return True if measured.any() else None


def _images(root: Path, dataset: StoredDataset, episode: int) -> list[tuple[float, Image]]:
    """Time and image of some frames, evenly over the episode; none without a camera."""
    camera, fps = dataset.columns.camera, dataset.index.fps
    entry = dataset.episodes[episode]
    if camera is None or camera not in entry.videos:
        return []
    open_videos(root)  # a missing or damaged one is named
    part = entry.videos[camera]
    steps = np.unique(np.linspace(0, entry.length - 1, _FRAMES).round().astype(int))
    try:
        return [
            (step / fps, read_part(root / part.file, part.begin + step / fps, 1, fps)[0]) for step in steps.tolist()
        ]
    except (OSError, ValueError, IndexError) as error:
        raise DamagedFileError(root / part.file, "cannot be decoded", [episode]) from error


def _picture(dataset: StoredDataset, summary: EpisodeSummary, images: list[tuple[float, Image]]) -> bytes:
    from matplotlib.figure import Figure

    from reachy_policies.figures import encode_figure

    entry = dataset.episodes[summary.index]
    columns = dataset.read(entry.table)[summary.index]
    times = np.arange(entry.length) / dataset.index.fps
    figure = Figure(figsize=(11, 9 if images else 7), layout="constrained")
    rows = [["strip"]] * bool(images) + [["angles"], ["position"], ["features"]]
    axes: dict[str, Any] = figure.subplot_mosaic(rows, height_ratios=[0.9] * bool(images) + [1.5, 1, 1])
    figure.suptitle(f"{dataset.root.name}, episode {summary.index}: {summary.instruction or 'no words'}")
    if images:
        height, width = images[0][1].shape[:2]
        gap = np.full((height, max(1, width // 40), 3), 255, dtype=np.uint8)
        strip = np.concatenate([part for _, image in images for part in (image, gap)][:-1], axis=1)
        axes["strip"].imshow(strip, aspect="equal")
        axes["strip"].set_yticks([])
        width += gap.shape[1]
        axes["strip"].set_xticks(
            [width * (place + 0.5) for place in range(len(images))], [f"{time:.1f} s" for time, _ in images]
        )
    _draw_poses(axes["angles"], times, columns, ANGLE_AXES, degrees(1.0), "angle (°)")
    _draw_poses(axes["position"], times, columns, POSITION_AXES, 1000.0, "head position (mm)")
    for number, name in enumerate(dataset.layout.environment_state):
        axes["features"].plot(times, columns[OBS_ENV_STATE][:, number], label=name, linewidth=1.2)
    axes["features"].set(xlabel="time (s)", ylabel="features")
    for plot in ("angles", "position", "features"):
        axes[plot].set_xlim(0, max(times[-1], times[1] if len(times) > 1 else 1.0))
        if axes[plot].lines:
            axes[plot].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small", frameon=False)
    return encode_figure(figure)


def _draw_poses(plot: Any, times: Array, columns: dict[str, Array], numbers: slice, scale: float, heading: str) -> None:
    """Draw commands as lines and measured poses as dots of the same colour."""
    for number in range(*numbers.indices(len(ACTION_NAMES))):
        (line,) = plot.plot(times, scale * columns[ACTION][:, number], linewidth=1.2)
        line.set_label(ACTION_NAMES[number].removesuffix(".pos"))
        plot.plot(times, scale * columns[OBS_STATE][:, number], ".", markersize=1.5, color=line.get_color())
    plot.set(ylabel=f"{heading}\nline: command, dots: measured")
