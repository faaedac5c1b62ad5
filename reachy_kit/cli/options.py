"""Options that several commands share, and the settings of ``--config FILE.toml`` and ``--set key=value``."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.tasks.task_registry import own_task_names

TaskOption = Annotated[
    str,
    typer.Option(
        "--task",
        metavar="NAME|FILE.py",
        help=f"{', '.join(own_task_names())}, a task of an installed package, or a file with a task of your own.",
    ),
]
RobotOption = Annotated[
    str,
    typer.Option(
        "--robot",
        metavar="sim|daemon|HOST[:PORT]",
        help="sim: physics on this computer. daemon: a simulated robot behind its own daemon, which is started if "
        "none answers. HOST: a real robot.",
    ),
]
PerceptionOption = Annotated[
    str,
    typer.Option(
        "--perception",
        metavar="auto|geometry|detector",
        help="Source of the target's features: the simulator's geometry, or OpenCV on the camera image. auto: geometry "
        "on sim and for what the detector cannot yield, detector elsewhere.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
SeedsOption = Annotated[
    int,
    typer.Option(
        "--seeds",
        min=0,
        help="Train N seeds, 0 to N−1, into OUT/seed-0 and so on, each in its own process; finished ones are kept.",
    ),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="TOML file with settings.")]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="A setting, as key=value; may be given repeatedly.")
]


def read_settings(config: Path | None, assignments: list[str]) -> dict[str, Any]:
    """Read settings from the file, then from the command line, which wins.

    Raises:
        WrongUseError: the file or an assignment cannot be read.
    """
    settings: dict[str, Any] = {}
    if config:
        try:
            settings.update(tomllib.loads(config.read_text()))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise WrongUseError(f"--config {config} cannot be read: {error}") from error
    for assignment in assignments:
        try:
            settings.update(tomllib.loads(assignment))
        except tomllib.TOMLDecodeError as error:
            raise WrongUseError(f"--set {assignment} is not key=value ({error}). Strings need quotes") from error
    return settings
