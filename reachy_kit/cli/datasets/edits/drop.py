"""``reachy-kit dataset drop``: leave episodes out."""

from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.datasets.edits.edit_options import OutOption, read_indices, show_edited
from reachy_kit.cli.options import DatasetArgument, JsonOption


def drop(
    dataset: DatasetArgument,
    episodes: Annotated[str, typer.Argument(metavar="EPISODES", help="Indices to leave out, as in 0,2,5-8.")],
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Leave episodes out of a dataset; the others keep their seeds, and are counted from 0 again.

    Example: reachy-kit dataset drop data/look_at 3,7-9
    """
    from reachy_kit.workflows.datasets.dataset_care import drop_episodes

    indices = read_indices(episodes)
    edited = drop_episodes(dataset, indices, out, show.TERMINAL)
    show_edited(edited, f"{len(indices)} episodes dropped", json=json)
