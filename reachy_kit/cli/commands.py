"""The commands of ``reachy-kit``.

Only typer and the standard library load here; each command loads what it needs when it runs.
"""

from typing import Annotated

import typer

from reachy_kit import __version__
from reachy_kit.cli import demo, evaluate, export, sysid, top, view
from reachy_kit.cli.datasets.dataset_commands import dataset_app
from reachy_kit.cli.driving import record, replay, run, stop, teleop
from reachy_kit.cli.training import train_imitation, train_rl

app = typer.Typer(
    name="reachy-kit",
    help="Record a behaviour on a Reachy Mini, learn it by imitation, and put it back on the robot, safely.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
train_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
train_app.command("imitation")(train_imitation.imitation)
train_app.command("rl")(train_rl.rl)
app.command("demo")(demo.demo)
app.command("teleop")(teleop.teleop)
app.command("record")(record.record)
app.add_typer(train_app, name="train")
app.add_typer(dataset_app, name="dataset")
app.command("eval")(evaluate.evaluate)
app.command("export")(export.export)
app.command("replay")(replay.replay)
app.command("run")(run.run)
app.command("stop")(stop.stop)
app.command("sysid")(sysid.sysid)
app.command("top")(top.top)
app.command("view")(view.view)


@train_app.callback()
def train() -> None:
    """Train a policy by imitation of a dataset, or by reinforcement learning in the simulator.

    Example: reachy-kit train imitation --dataset data/look_at --out runs/look_at
    """


def _version(value: bool) -> None:
    if value:
        typer.echo(f"reachy-kit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; allowed anywhere on the line.")
    ] = False,
) -> None:
    """Record a behaviour on a Reachy Mini, learn it by imitation, and put it back on the robot, safely.

    Example: reachy-kit demo
    """
