"""``reachy-kit dataset push``: share a dataset on the Hub."""

from dataclasses import asdict
from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import DatasetArgument, JsonOption


def push(
    dataset: DatasetArgument,
    repository: Annotated[str, typer.Argument(metavar="NAME/DATASET", help="The dataset on the Hub.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it; without it, it is private.")] = False,
    licence: Annotated[
        str, typer.Option("--license", metavar="NAME", help="Its licence, as the Hub names it, such as cc-by-4.0.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Upload a dataset to the Hugging Face Hub with a card, with the token of hf auth login. Nothing else uploads.

    Files that the dataset does not have any more are removed there. The Hub's history keeps older versions, and with
    them people whom dataset forget removed since.

    Example: reachy-kit dataset push data/look_at NAME/look_at
    """
    from reachy_kit.workflows.datasets.hub_sharing import push_dataset

    shared = push_dataset(dataset, repository, public=public, licence=licence, reporter=show.TERMINAL)
    if json:
        show.print_json({**asdict(shared), "dataset": str(dataset)})
        return
    show.result(f"{dataset} is at {shared.url}, {'private' if shared.private else 'public'}")
