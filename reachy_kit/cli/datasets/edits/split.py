"""``reachy-kit dataset split``: a dataset becomes several."""

from dataclasses import asdict
from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.datasets.edits.edit_options import NewFolderOption, read_indices
from reachy_kit.cli.options import DatasetArgument, JsonOption
from reachy_kit.runtime.errors import WrongUseError


def split(
    dataset: DatasetArgument,
    into: Annotated[
        list[str],
        typer.Option(
            "--into", metavar="NAME=SHARE|EPISODES", help="A part: its share, as 0.8, or indices, as 0,2-5; repeatedly."
        ),
    ],
    out: NewFolderOption,
    json: JsonOption = False,
) -> None:
    """Split a dataset into several, each in a folder of its name in --out; it stays as it is.

    Example: reachy-kit dataset split data/look_at --into train=0.8 --into test=0.2 --out data/parts
    """
    from reachy_kit.workflows.datasets.dataset_care import split_dataset

    parts = split_dataset(dataset, dict(_read_part(part) for part in into), out, show.TERMINAL)
    if json:
        show.print_json({name: {**asdict(part), "dataset": str(part.dataset)} for name, part in parts.items()})
        return
    for part in parts.values():
        show.result(f"{part.episodes} episodes, {part.frames} frames in {part.dataset}")


def _read_part(text: str) -> tuple[str, float | tuple[int, ...]]:
    name, equals, value = text.partition("=")
    if not equals:
        raise WrongUseError(f"--into {text} is not NAME=SHARE or NAME=EPISODES, as in train=0.8 or test=0,2-5")
    if "." in value:
        try:
            return name, float(value)
        except ValueError as error:
            raise WrongUseError(f"--into {text}: {value} is not a share, as 0.8") from error
    return name, read_indices(value)
