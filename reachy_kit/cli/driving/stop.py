"""``reachy-kit stop``: whatever this computer drives lies down."""

from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import JsonOption


def stop(
    robot: Annotated[
        str, typer.Option("--robot", metavar="HOST[:PORT]", help="Stop only what drives this robot.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Stop every program of this computer that drives a robot: the robot lies down, and the program ends.

    It works from any terminal, also where the program was started without one.

    Example: reachy-kit stop
    """
    from reachy_kit.workflows.driving.stop import stop_robots

    stopped = stop_robots(robot, show.TERMINAL)
    if json:
        show.print_json([{"robot": one.robot, "pid": one.pid, "killed": one.killed} for one in stopped])
        return
    for one in stopped:
        show.result(f"{one.robot} was stopped and lies down; process {one.pid} has ended")
    if not stopped:
        show.result(
            f"no program of this computer drives {robot or 'a robot'}. What still moves is driven from elsewhere: stop "
            "it there, or switch the robot off"
        )
