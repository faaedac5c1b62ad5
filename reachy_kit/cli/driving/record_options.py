"""Options of ``reachy-kit record`` alone."""

from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli.options import path_option
from reachy_kit.runtime.seeds import recording_seeds

OutOption = Annotated[Path, path_option("--out", help="Folder of the dataset; an existing one is continued.")]
VariantOption = Annotated[str, typer.Option("--variant", help="The task's variant: training, or a held-out one.")]
EpisodesOption = Annotated[
    int,
    typer.Option(
        "--episodes",
        min=1,
        max=len(recording_seeds(0)),
        help="Number of episodes that the dataset holds in the end.",
    ),
]
CameraOption = Annotated[bool, typer.Option("--camera", help="Store the camera's images in the dataset.")]
RateOption = Annotated[int, typer.Option("--hz", help="Decisions per second: 50, 25 or 10.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the episodes.")]
SecondsOption = Annotated[
    float | None, typer.Option("--seconds", min=0.5, help="Length of a person's take; without it a key ends it.")
]
InstructionsOption = Annotated[
    list[str] | None,
    typer.Option("--instruction", help="The task in words. Given repeatedly, a key takes the next one."),
]
AudioOption = Annotated[
    str,
    typer.Option(
        "--audio",
        metavar="off|features|raw",
        help="What is kept of the sound: nothing, and the microphone stays closed; features such as direction and "
        "beat; or also the sound itself.",
    ),
]
OnRobotOption = Annotated[
    str | None,
    typer.Option(
        "--on-robot",
        metavar="[USER@]HOST[:PORT]",
        help="Record on the robot's own computer, over SSH: the Wi-Fi may drop out. The daemon's port there, if "
        "it is another one: --robot localhost:PORT.",
    ),
]
