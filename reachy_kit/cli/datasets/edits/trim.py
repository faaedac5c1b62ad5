"""``reachy-kit dataset trim``: cut the ends of episodes."""

from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.datasets.edits.edit_options import EpisodesOption, OutOption, read_indices, show_edited
from reachy_kit.cli.options import DatasetArgument, JsonOption


def trim(
    dataset: DatasetArgument,
    episodes: EpisodesOption = "",
    start: Annotated[float | None, typer.Option("--start", metavar="S", help="Seconds to cut from the start.")] = None,
    end: Annotated[float | None, typer.Option("--end", metavar="S", help="Seconds to cut from the end.")] = None,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Cut the ends of episodes; without --start and --end, the dead time before and after the motion.

    0.2 s before the first motion and 1 s after the last one stay, and so do frames that show no target.

    Example: reachy-kit dataset trim data/look_at

    Example: reachy-kit dataset trim data/look_at --episodes 3 --start 0.5
    """
    from reachy_kit.workflows.datasets.trimming import trim_episodes

    edited = trim_episodes(dataset, read_indices(episodes), start=start, end=end, out=out, reporter=show.TERMINAL)
    show_edited(edited, f"{len(edited.changed)} episodes cut", json=json)
