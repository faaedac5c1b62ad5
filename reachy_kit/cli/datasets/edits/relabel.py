"""``reachy-kit dataset relabel``: other words, another mark."""

from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.datasets.edits.edit_options import EpisodesOption, OutOption, read_indices, show_edited
from reachy_kit.cli.options import DatasetArgument, JsonOption


def relabel(
    dataset: DatasetArgument,
    episodes: EpisodesOption = "",
    instruction: Annotated[
        str | None, typer.Option("--instruction", metavar="TEXT", help="The task in words, LeRobot's task.")
    ] = None,
    success: Annotated[
        bool | None, typer.Option("--success/--failure", help="The operator's mark of the episodes.")
    ] = None,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Give episodes other words, or another mark of success.

    Example: reachy-kit dataset relabel data/look_at --instruction "Look at me."

    Example: reachy-kit dataset relabel data/look_at --episodes 4,6 --failure
    """
    from reachy_kit.workflows.datasets.dataset_care import relabel_episodes

    edited = relabel_episodes(
        dataset, read_indices(episodes), instruction=instruction, success=success, out=out, reporter=show.TERMINAL
    )
    show_edited(edited, "relabelled", json=json)
