"""``reachy-kit dataset show``: what a dataset holds, or one of its episodes as a picture."""

from dataclasses import asdict
from math import degrees
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import JsonOption, path_argument, path_option
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.shell_command import compose_command

if TYPE_CHECKING:
    from reachy_kit.workflows.datasets.dataset_summary import DatasetSummary, EpisodeSummary

_LISTED = 20


def show_dataset(
    dataset: Annotated[Path, path_argument(metavar="DATASET", help="Folder of a LeRobot v3 dataset of this robot.")],
    episode: Annotated[int | None, typer.Option("--episode", min=0, help="Index of the episode to draw.")] = None,
    out: Annotated[
        Path | None, path_option("--out", metavar="FILE.png", help="The picture. Default: episode-N.png here.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what a dataset holds; with --episode, draw its images, poses, commands and features into a PNG file.

    Example: reachy-kit dataset show data/look_at

    Example: reachy-kit dataset show data/look_at --episode 3 --out episode.png
    """
    from reachy_kit.workflows.datasets.dataset_summary import draw_episode, summarize_dataset

    if episode is None:
        if out is not None:
            raise WrongUseError("--out is for the picture of an episode. Give --episode too")
        summary = summarize_dataset(dataset)
        if json:
            show.print_json({**asdict(summary), "dataset": str(dataset), "frames": summary.frames})
        else:
            _show(summary)
        return
    file = out or Path(f"episode-{episode}.png")
    drawn = draw_episode(dataset, episode, file)
    if json:
        show.print_json({**asdict(drawn), "picture": str(file)})
        return
    show.result(f"{_line(drawn)}\npicture: {file}")


def _show(summary: "DatasetSummary") -> None:
    count = len(summary.episodes)
    seconds = summary.frames / summary.fps
    show.result(f"{summary.dataset}: {count} episodes, {summary.frames} frames, {seconds:.0f} s at {summary.fps} Hz")
    show.result(f"task: {summary.task or 'not named'}; features: {', '.join(summary.features) or 'none'}")
    show.result(f"cameras: {', '.join(summary.cameras) or 'none'}")
    for words, number in summary.instructions.items():
        show.result(f"words: {words or '(none)'} ({number} episodes)")
    if summary.provenance:
        show.result("origin: " + ", ".join(f"{name} {value}" for name, value in summary.provenance.items()))
    for episode in summary.episodes[:_LISTED]:
        show.result(_line(episode))
    if count > _LISTED:
        show.result(f"and {count - _LISTED} more; all of them with --json")
    if count:
        show.result(f"Next: {compose_command('dataset show', summary.dataset, episode=0)}")


def _line(episode: "EpisodeSummary") -> str:
    mark = {True: ", success", False: ", failure", None: ""}[episode.success]
    person = f", by {episode.operator}" if episode.operator else ""
    return (
        f"episode {episode.index}: {episode.frames} frames, {episode.seconds:.1f} s, moves "
        f"{1000 * episode.position_range:.0f} mm and {degrees(episode.angle_range):.0f}°{mark}{person}"
    )
