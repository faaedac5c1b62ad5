"""``reachy-kit sysid``: a robot's motors, measured, so that the simulator can behave like that robot."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.options import JsonOption, RobotOption, path_option
from reachy_kit.runtime.errors import RefusedError


def sysid(
    robot: RobotOption = "sim",
    out: Annotated[
        Path, path_option("--out", help="Folder of the result; an earlier result there is replaced.")
    ] = Path("runs/sysid"),
    yes: Annotated[
        bool, typer.Option("--yes", help="The robot's table is clear: do not ask before a real robot moves.")
    ] = False,
    delay: Annotated[
        float | None,
        typer.Option(
            "--delay", min=0.0, max=0.12, help="The delay in seconds, if it is known; otherwise it is fitted too."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure a robot's motors: delay, gain, play, bandwidth, damping and rate limit of each joint, with intervals.

    Body, antennas and head move for 35 seconds, within the classroom limits.

    Example: reachy-kit sysid --robot daemon --out runs/sysid
    """
    from reachy_kit.workflows.sysid import measure_motors

    def confirm(warning: str) -> None:
        if yes:
            return
        if not sys.stdin.isatty():
            raise RefusedError(f"{warning}. Then confirm with --yes")
        if not typer.confirm(f"{warning}. Go?", err=True):
            raise RefusedError("nothing was moved")

    motors = measure_motors(robot, out, delay=delay, confirm=confirm, reporter=show.TERMINAL)
    if json:
        import json as parser

        show.print_json({"out": str(out), **parser.loads(motors.actuators.read_text())})
        return
    from reachy_policies.evaluation.report.tables import Table
    from reachy_sim.sysid.identification_plot import table_headings, table_rows

    title = f"motors of {motors.robot}: best fit, and the 95 % interval below"
    rows = tuple(tuple(row) for row in table_rows(motors.identified))
    show.print_table(Table(title, tuple(table_headings()), rows, text_columns=("",)))
    show.result(
        f"motors in {motors.actuators}, plot in {motors.plot}. "
        f"Next, train around them: randomization={str(motors.actuators)!r} in gymnasium.make_vec"
    )
