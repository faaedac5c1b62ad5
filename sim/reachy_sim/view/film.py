"""A film of an episode, without a browser: the robot, and its head camera in a corner, green while the error is small.

Try it: reachy-kit view --task track --policy expert --out track.mp4
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import imageio.v3 as iio
import numpy as np

from reachy_kit.runtime.durable_files import begins_with, check_file
from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.interface import Image, Step, World
from reachy_sim.rendering.robot_renderer import RobotRenderer
from reachy_sim.view.snapshots import Snapshot, SnapshotBuffer

FORMATS = (".mp4", ".gif")
_CLOSE, _FAR = (40, 170, 70), (140, 140, 140)


@dataclass(frozen=True)
class FilmConfig:
    """Size and rate of a film."""

    width: int = 640
    """Width, px; the height is three quarters of it."""
    fps: float = 12.5
    """Frames per second. A GIF counts in hundredths of a second, and 0.08 s is a whole number of them."""
    inset: float = 0.3
    """Share of the width that the head camera's image takes."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), even as H.264 wants them."""
        return self.width // 2 * 2, self.width * 3 // 8 * 2


def check_format(path: Path) -> None:
    """Refuse a film that could not be written, before any work.

    Raises:
        WrongUseError: not a film that can be written, or no such folder.
        RefusedError: a file that is not a film would be overwritten.
        KitError: the disk is full.
    """
    if path.suffix.lower() not in FORMATS:
        raise WrongUseError(f"--out {path}: films end in {' or '.join(FORMATS)}")
    is_film = begins_with(b"GIF8") if path.suffix.lower() == ".gif" else begins_with(b"ftyp", offset=4)
    check_file(path, f"a film in {path.suffix}", is_film)


class FilmRecorder(SnapshotBuffer):
    """Keeps the snapshots that become frames: a robot on the wall clock cannot wait for them to be drawn.

    Args:
        world: ground truth, where there is one.
        fps: frames per second.
    """

    def __init__(self, world: World | None, fps: float) -> None:
        super().__init__(world)
        self.fps = fps
        self.snapshots: list[Snapshot] = []

    def on_step(self, step: Step) -> None:
        """Keep the snapshot when the next frame is due."""
        super().on_step(step)
        while (
            self.latest.time * self.fps >= len(self.snapshots) + 1 - 1e-6
        ):  # one snapshot of a slow policy fills several frames
            self.snapshots.append(self.latest)


def write_film(
    path: Path, snapshots: Sequence[Snapshot], config: FilmConfig, tolerance: float | None, advance: Callable[[], None]
) -> None:
    """Draw snapshots and write them as a film; the file appears when it is whole.

    Args:
        path: ends in .mp4 or .gif.
        snapshots: one per frame.
        config: size and rate.
        tolerance: of the task's error; a smaller one counts as doing it.
        advance: called after each frame.

    Raises:
        KitError: the film cannot be written.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    frames = _frames(snapshots, config, tolerance, advance)
    try:
        if path.suffix.lower() == ".gif":
            iio.imwrite(part, list(frames), plugin="pillow", duration=round(1000 / config.fps), loop=0)
        else:
            with iio.imopen(part, "w", plugin="pyav") as film:
                film.init_video_stream("libx264", fps=config.fps)
                for frame in frames:
                    film.write_frame(frame)
        part.replace(path)
    except OSError as error:
        raise KitError(f"the film {path} cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _frames(
    snapshots: Sequence[Snapshot], config: FilmConfig, tolerance: float | None, advance: Callable[[], None]
) -> Iterator[Image]:
    width, height = config.size
    renderer = RobotRenderer(width, height, [snapshot.target for snapshot in snapshots if snapshot.target is not None])
    try:
        for snapshot in snapshots:
            frame = renderer.render(snapshot.state, snapshot.target)
            if snapshot.image is not None:
                _inset(frame, snapshot, round(config.inset * width), tolerance)
            yield frame
            advance()
    finally:
        renderer.close()


def _inset(frame: Image, snapshot: Snapshot, width: int, tolerance: float | None) -> None:
    """Lay the head camera's image over the corner of a frame."""
    assert snapshot.image is not None, "asked before"
    height = width * snapshot.image.shape[0] // snapshot.image.shape[1]
    small = cv2.resize(snapshot.image, (width, height), interpolation=cv2.INTER_AREA)
    close = tolerance is not None and snapshot.task_error is not None and snapshot.task_error <= tolerance
    bordered = np.empty((height + 6, width + 6, 3), dtype=np.uint8)
    bordered[:] = _CLOSE if close else _FAR
    bordered[3:-3, 3:-3] = small
    frame[12 : 12 + height + 6, -12 - width - 6 : -12] = bordered
