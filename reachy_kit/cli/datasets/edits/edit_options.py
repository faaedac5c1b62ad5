"""Arguments that the editing commands share, and what they show."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import path_option
from reachy_kit.runtime.shell_command import compose_command

if TYPE_CHECKING:
    from reachy_kit.workflows.datasets.dataset_care import EditedDataset

EpisodesOption = Annotated[
    str, typer.Option("--episodes", metavar="0,2,5-8", help="Indices of the episodes. All without it.")
]
OutOption = Annotated[
    Path | None,
    path_option(
        "--out",
        help="Write the new dataset there. Without it, it takes the place of the old one in one step.",
    ),
]
NewFolderOption = Annotated[Path, path_option("--out", help="Folder of the new dataset; it must not exist yet.")]


def read_indices(text: str) -> tuple[int, ...]:
    """Indices of episodes that an option gives; none where it is left out."""
    from reachy_kit.workflows.datasets.dataset_care import read_episodes

    return read_episodes(text) if text else ()


def show_edited(edited: "EditedDataset", did: str, *, json: bool, **more: Any) -> None:
    """Show a dataset after an edit, and the command that looks at it."""
    if json:
        show.print_json({**asdict(edited), "dataset": str(edited.dataset), **more})
        return
    show.result(
        f"{did}: {edited.episodes} episodes, {edited.frames} frames in {edited.dataset}. Next: "
        + compose_command("dataset show", edited.dataset)
    )
