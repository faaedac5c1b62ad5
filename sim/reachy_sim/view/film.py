"""A film of an episode, without a browser: the robot, and in the corner what its eye sees, framed green while it looks.

Try it: reachy-kit view --task track --policy expert --out track.mp4
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import imageio.v3 as iio
import numpy as np

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import Image, Step, World
from reachy_sim.rendering.robot_renderer import RobotRenderer
from reachy_sim.view.snapshots import Snapshot, SnapshotBuffer

FORMATS = (".mp4", ".gif")
_LOOKING, _NOT_LOOKING = (40, 170, 70), (140, 140, 140)


@dataclass(frozen=True)
class FilmConfig:
    """How a film looks."""

    width: int = 640
    """Pixels; the height is three quarters of it."""
    fps: float = 12.5
    """Pictures a second. A GIF counts in hundredths of a second, and 0.08 s is a whole number of them."""
    inset: float = 0.3
    """Share of the width that the eye's image takes."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), even as H.264 wants them."""
        return self.width // 2 * 2, self.width * 3 // 8 * 2


def check_format(path: Path) -> None:
    """Before any work is done for nothing.

    Raises:
        WrongUseError: not a film that can be written, or no such folder.
    """
    if path.suffix.lower() not in FORMATS:
        raise WrongUseError(f"--out {path}: films end in {' or '.join(FORMATS)}")
    if not path.resolve().parent.is_dir():
        raise WrongUseError(f"--out {path}: there is no folder {path.resolve().parent}")


class FilmRecorder(SnapshotBuffer):
    """Keeps the moments that become pictures: a robot on the wall clock cannot wait for them to be drawn.

    Args:
        world: ground truth, where there is one.
        fps: pictures a second.
    """

    def __init__(self, world: World | None, fps: float) -> None:
        super().__init__(world)
        self.fps = fps
        self.kept: list[Snapshot] = []

    def on_step(self, step: Step) -> None:
        """Keep the moment when the next picture is due."""
        super().on_step(step)
        while self.latest.time * self.fps >= len(self.kept) + 1 - 1e-6:  # slower policies: one moment, more pictures
            self.kept.append(self.latest)


def write_film(
    path: Path, moments: Sequence[Snapshot], config: FilmConfig, tolerance: float | None, advance: Callable[[], None]
) -> None:
    """Draw moments and write them as a film; the file appears when it is whole.

    Args:
        path: ends in .mp4 or .gif.
        moments: one a picture.
        config: size and rate.
        tolerance: of the task's error; a smaller one counts as doing it.
        advance: called after each picture.

    Raises:
        KitError: no off-screen renderer works here.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    pictures = _pictures(moments, config, tolerance, advance)
    try:
        if path.suffix.lower() == ".gif":
            iio.imwrite(part, list(pictures), plugin="pillow", duration=round(1000 / config.fps), loop=0)
        else:
            with iio.imopen(part, "w", plugin="pyav") as film:
                film.init_video_stream("libx264", fps=config.fps)
                for picture in pictures:
                    film.write_frame(picture)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _pictures(
    moments: Sequence[Snapshot], config: FilmConfig, tolerance: float | None, advance: Callable[[], None]
) -> Iterator[Image]:
    width, height = config.size
    renderer = RobotRenderer(width, height, [one.target for one in moments if one.target is not None])
    try:
        for moment in moments:
            picture = renderer.render(moment.state, moment.target)
            if moment.image is not None:
                _inset(picture, moment, round(config.inset * width), tolerance)
            yield picture
            advance()
    finally:
        renderer.close()


def _inset(picture: Image, moment: Snapshot, width: int, tolerance: float | None) -> None:
    """Lay the eye's image over the corner of a picture."""
    assert moment.image is not None, "asked before"
    height = width * moment.image.shape[0] // moment.image.shape[1]
    small = cv2.resize(moment.image, (width, height), interpolation=cv2.INTER_AREA)
    looking = tolerance is not None and moment.task_error is not None and moment.task_error <= tolerance
    framed = np.empty((height + 6, width + 6, 3), dtype=np.uint8)
    framed[:] = _LOOKING if looking else _NOT_LOOKING
    framed[3:-3, 3:-3] = small
    picture[12 : 12 + height + 6, -12 - width - 6 : -12] = framed
