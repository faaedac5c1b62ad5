"""``reachy-kit dataset merge``: several datasets become one."""

from pathlib import Path
from typing import Annotated

from reachy_kit.cli import show
from reachy_kit.cli.datasets.edits.edit_options import NewFolderOption, show_edited
from reachy_kit.cli.options import JsonOption, path_argument


def merge(
    datasets: Annotated[list[Path], path_argument(metavar="DATASET...", help="Folders of the datasets, in order.")],
    out: NewFolderOption,
    json: JsonOption = False,
) -> None:
    """Put datasets of the same rate and columns one after the other.

    Example: reachy-kit dataset merge data/monday data/tuesday --out data/week
    """
    from reachy_kit.workflows.datasets.dataset_care import merge_datasets

    show_edited(merge_datasets(datasets, out, show.TERMINAL), f"{len(datasets)} datasets merged", json=json)
