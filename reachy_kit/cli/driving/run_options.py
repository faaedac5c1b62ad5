"""Options of ``reachy-kit run`` alone."""

from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli.options import expand_home, path_option

DriversArgument = Annotated[
    list[str] | None,
    typer.Argument(
        parser=expand_home,
        metavar="FILE.bundle|BEHAVIOUR...",
        show_default=False,
        help="A bundle or its unpacked folder, or behaviours, the highest priority first: --list shows them.",
    ),
]
EpisodesOption = Annotated[int, typer.Option("--episodes", min=1, help="Number of episodes, one after another.")]
SecondsOption = Annotated[
    float | None,
    typer.Option(
        "--seconds",
        min=0.1,
        help="Length of an episode. If not given: of a bundle the task's own, 10 on hardware; behaviours run until "
        "Ctrl-C, on sim for 20.",
    ),
]
CameraOption = Annotated[
    bool,
    typer.Option(
        "--camera/--no-camera",
        help="Without the camera the policy receives no target: that tests the motors alone.",
    ),
]
CorrectionDeviceOption = Annotated[
    str,
    typer.Option(
        "--teleop",
        parser=expand_home,
        metavar="NAME[:ARGUMENT]",
        help="Device with which a person takes the robot over by the key c, and hands it back; with --out.",
    ),
]
CorrectionsOption = Annotated[
    Path | None,
    path_option("--out", help="For --teleop: dataset of the corrected episodes; an existing one is continued."),
]
TelemetryOption = Annotated[
    Path | None,
    path_option(
        "--telemetry",
        metavar="FILE.jsonl",
        help="Append a line of JSON to this file each second: the loop's times, ages, the limiter's interventions.",
    ),
]
MetricsOption = Annotated[
    str,
    typer.Option(
        "--metrics",
        metavar="[HOST:]PORT",
        help="Publish the same at this port, for Prometheus and for top; POST /stop there stops the run. Without "
        "HOST on this computer alone.",
    ),
]
ListOption = Annotated[bool, typer.Option("--list", help="List the behaviours, one line each, and end.")]
