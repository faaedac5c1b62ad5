"""``reachy-kit teleop``: drive a robot by hand."""

from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import JsonOption, RobotOption, TaskOption, expand_home


def teleop(
    device: Annotated[
        str,
        typer.Argument(parser=expand_home, metavar="NAME[:ARGUMENT]", help="The device, such as keyboard or gamepad."),
    ],
    robot: RobotOption = "sim",
    task: TaskOption = "look_at",
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.1, help="Time to drive; without it a key ends it.")
    ] = None,
    camera: Annotated[bool, typer.Option("--camera", help="Open a real robot's camera, to see the target.")] = False,
    hz: Annotated[int, typer.Option("--hz", help="Decisions per second: 50, 25 or 10.")] = 25,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the simulated world.")] = 0,
    json: JsonOption = False,
) -> None:
    """Drive a robot by hand, without recording.

    Example: reachy-kit teleop keyboard --robot sim
    """
    from reachy_kit.cli.reporting.recording_screen import TerminalScreen
    from reachy_kit.workflows.recording import teleop as workflow

    drive = workflow.teleop(
        device, robot=robot, task=task, seconds=seconds, camera=camera, hz=hz, seed=seed, screen=TerminalScreen()
    )
    if json:
        show.print_json(
            {
                "device": drive.device,
                "robot": robot,
                "seconds": round(drive.episode.nominal_seconds, 3),
                "rate": drive.rate.summary(),
            }
        )
        return
    show.result(f"{drive.device} drove {robot} for {drive.episode.nominal_seconds:.1f} s")
    show.result(drive.rate.text())
