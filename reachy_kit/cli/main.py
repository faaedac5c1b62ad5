"""``reachy-kit``: its commands, and how errors are reported.

Only typer and the standard library load here; each command loads what it needs when it runs.
"""

import signal
import sys
import traceback
from typing import Annotated

import typer

from reachy_kit import __version__
from reachy_kit.cli import demo, evaluate, export, record, run, sysid, train_imitation, train_rl, view
from reachy_kit.runtime.errors import KitError
from reachy_kit.runtime.interrupts import terminate_like_interrupt

INTERRUPTED = 128 + signal.SIGINT

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
app.command("record")(record.record)
app.add_typer(train_app, name="train")
app.command("eval")(evaluate.evaluate)
app.command("export")(export.export)
app.command("run")(run.run)
app.command("sysid")(sysid.sysid)
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


def run_cli() -> None:
    """Run the command line; an error becomes one or two lines and an exit code."""
    terminate_like_interrupt()
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments, prog_name="reachy-kit")
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            print("stopped by Ctrl-C; what was saved before is kept", file=sys.stderr)
        raise
    except Exception as error:  # people see a line, not a traceback
        if debug:
            traceback.print_exc()
        message = " ".join(str(error).split())  # the errors of other packages run over many lines
        known = isinstance(error, KitError)
        print(
            f"error: {message}" if known else f"error: {type(error).__name__}: {message}. --debug shows where",
            file=sys.stderr,
        )
        sys.exit(error.exit_code if isinstance(error, KitError) else 1)
