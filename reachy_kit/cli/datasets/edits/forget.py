"""``reachy-kit dataset forget``: a person's pseudonym is removed."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import JsonOption, path_argument


def forget(
    pseudonym: Annotated[str, typer.Argument(metavar="PSEUDONYM", help="The name that record --operator was given.")],
    datasets: Annotated[list[Path], path_argument(metavar="DATASET...", help="Folders of the datasets.")],
    keep_episodes: Annotated[
        bool, typer.Option("--keep-episodes", help="Keep the person's episodes without the name, instead of dropping.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Remove a person from datasets: afterwards the pseudonym is in none of their files, nor in LeRobot's cache.

    Example: reachy-kit dataset forget owl data/look_at

    Example: reachy-kit dataset forget owl data/look_at data/track --keep-episodes
    """
    from reachy_kit.workflows.datasets.dataset_forgetting import forget_person

    forgotten = forget_person(pseudonym, datasets, keep_episodes=keep_episodes, reporter=show.TERMINAL)
    if json:
        show.print_json([{**asdict(each), "dataset": str(each.dataset)} for each in forgotten])
        return
    for each in forgotten:
        did = "kept without a name" if each.kept else "dropped"
        show.result(f"{each.dataset}: {each.episodes} episodes {did}; the name is in none of its files")
