"""``reachy-kit dataset pull``: fetch a dataset from the Hub."""

from dataclasses import asdict
from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.datasets.edits.edit_options import NewFolderOption
from reachy_kit.cli.options import JsonOption
from reachy_kit.runtime.shell_command import compose_command


def pull(
    repository: Annotated[str, typer.Argument(metavar="NAME/DATASET", help="The dataset on the Hub.")],
    out: NewFolderOption,
    json: JsonOption = False,
) -> None:
    """Download a dataset of this robot from the Hugging Face Hub into a new folder.

    Example: reachy-kit dataset pull NAME/look_at --out data/look_at
    """
    from reachy_kit.workflows.datasets.hub_sharing import pull_dataset

    shared = pull_dataset(repository, out, reporter=show.TERMINAL)
    if json:
        show.print_json({**asdict(shared), "dataset": str(out)})
        return
    show.result(f"{repository} is in {out}. Next: {compose_command('dataset show', out)}")
