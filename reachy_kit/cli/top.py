"""``reachy-kit top``: a robot on one screen."""

from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import JsonOption
from reachy_kit.runtime.errors import NoRobotError


def top(
    host: Annotated[str, typer.Argument(metavar="HOST[:PORT]", help="The robot, or its simulated daemon.")],
    metrics: Annotated[
        str,
        typer.Option(
            "--metrics",
            metavar="[HOST:]PORT",
            help="Where a run publishes, as its own --metrics says; port 9100 of the robot's computer if not given.",
        ),
    ] = "",
    interval: Annotated[float, typer.Option("--interval", min=0.2, help="Time between two looks, s.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once; as without a terminal.")] = False,
    json: JsonOption = False,
) -> None:
    """Show a robot on one screen: daemon, motors, driver, and the times of a run with --metrics. Ctrl-C ends it.

    Nothing is commanded, so it works beside whatever drives the robot.

    Example: reachy-kit top 127.0.0.1:8000
    """
    from reachy_kit.cli.reporting.top_screen import show_live, show_once
    from reachy_kit.runtime.robots.daemon import parse_address
    from reachy_kit.workflows.top import RobotWatch

    address = parse_address(host, "HOST")
    watch = RobotWatch(address, metrics)
    if not once and not json and show_live(watch, interval):
        return
    view = watch.look()
    if not view.daemon and not view.run:
        raise NoRobotError(
            f"no Reachy Mini daemon answers at {address}, and no run publishes at {view.metrics}. Is the robot "
            "switched on and in this network?"
        )
    if json:
        show.print_json(view.record())
    else:
        show_once(view)
