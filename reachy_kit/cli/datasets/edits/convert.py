"""``reachy-kit dataset convert``: other recordings become datasets as this kit records them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.datasets.edits.edit_options import NewFolderOption
from reachy_kit.cli.options import JsonOption, expand_home, path_argument
from reachy_kit.runtime.shell_command import compose_command


def convert(
    source: Annotated[
        Path,
        path_argument(metavar="SOURCE", help="Folder of episode files, or of a LeRobot dataset, v3 or v2.1."),
    ],
    out: NewFolderOption,
    task: Annotated[
        str,
        typer.Option("--task", parser=expand_home, metavar="NAME|FILE.py", help="The task, if the source names none."),
    ] = "",
    camera: Annotated[
        str, typer.Option("--camera", metavar="NAME", help="The head's camera, if the source has several others.")
    ] = "",
    to_files: Annotated[
        bool, typer.Option("--to-files", help="Write episode files, as the robot does, instead of a LeRobot dataset.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Convert episode files, LeRobot's format v2.1, or a dataset of others into one as this kit records it.

    Example: reachy-kit dataset convert downloaded --task look_at --out data/look_at

    Example: reachy-kit dataset convert data/look_at --to-files --out episodes
    """
    from reachy_kit.workflows.datasets.conversion import convert_dataset

    converted = convert_dataset(source, out, task=task, camera=camera, to_files=to_files, reporter=show.TERMINAL)
    if json:
        show.print_json({**asdict(converted), "dataset": str(out)})
        return
    following = "" if to_files else f". Next: {compose_command('dataset show', out)}"
    show.result(f"{converted.episodes} episodes of {converted.source} converted into {out}{following}")
