"""``reachy-kit dataset``: the care of recorded datasets. Each verb has a file beside this, and is registered here."""

import typer

from reachy_kit.cli.datasets import check, moves, show_dataset
from reachy_kit.cli.datasets.edits import convert, drop, forget, merge, relabel, split, trim
from reachy_kit.cli.datasets.sharing import pull, push

dataset_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
dataset_app.command("check")(check.check)
dataset_app.command("moves")(moves.moves)
dataset_app.command("show")(show_dataset.show_dataset)
dataset_app.command("trim")(trim.trim)
dataset_app.command("drop")(drop.drop)
dataset_app.command("merge")(merge.merge)
dataset_app.command("split")(split.split)
dataset_app.command("relabel")(relabel.relabel)
dataset_app.command("convert")(convert.convert)
dataset_app.command("push")(push.push)
dataset_app.command("pull")(pull.pull)
dataset_app.command("forget")(forget.forget)


@dataset_app.callback()
def dataset() -> None:
    """Look after recorded datasets: check, show, edit, share and forget.

    Example: reachy-kit dataset check data/look_at
    """
