"""``reachy-kit dataset moves``: episodes as recorded moves."""

from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import DatasetArgument, JsonOption, path_option
from reachy_kit.runtime.shell_command import compose_command


def moves(
    dataset: DatasetArgument,
    out: Annotated[Path, path_option("--out", help="Folder of the moves, a JSON file each.")],
    episode: Annotated[
        list[int], typer.Option("--episode", help="Index of an episode; may be given repeatedly. All without it.")
    ] = [],  # noqa: B006
    json: JsonOption = False,
) -> None:
    """Write episodes as recorded moves, which the robot's own apps play and share.

    Example: reachy-kit dataset moves data/wave --out moves
    """
    from reachy_kit.workflows.moves import export_moves

    files = export_moves(dataset, out, episode)
    if json:
        show.print_json({"dataset": str(dataset), "moves": [str(file) for file in files]})
        return
    play = compose_command("teleop", f"move:{files[0]}", robot="sim") if files else ""
    show.result(f"{len(files)} moves in {out}. Next: {play}" if files else f"{dataset} holds no episodes")
