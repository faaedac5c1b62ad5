"""``reachy-kit sysid``: what a robot's motors are like, measured, so that the simulator can behave like it."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reachy_kit.cli import show
from reachy_kit.cli.robots import RobotOption, Session, open_session
from reachy_kit.runtime.errors import RefusedError, WrongUseError

if TYPE_CHECKING:
    from rich.table import Table

    from reachy_kit.runtime.interface import Array
    from reachy_sim.sysid.identification import IdentifiedMotors
    from reachy_sim.sysid.motor_recording import MotorRecording

ACTUATORS, RECORDING, PICTURE = "actuators.json", "recording.npz", "sysid.png"
TOO_BUSY = 0.01
"""Share of the time lost to stalls. With 0.2 % two runs on the simulated daemon agreed, with 6 % they did not."""


def sysid(
    robot: RobotOption = "sim",
    out: Annotated[Path, typer.Option("--out", help="Folder of the result; an earlier one is replaced.")] = Path(
        "runs/sysid"
    ),
    yes: Annotated[
        bool, typer.Option("--yes", help="Its table is clear: do not ask before a real robot moves.")
    ] = False,
    delay: Annotated[
        float | None,
        typer.Option("--delay", min=0.0, max=0.12, help="Seconds, where the delay is known; else it is fitted too."),
    ] = None,
    json: show.JsonOption = False,
) -> None:
    """Measure a robot's motors: delay, gain, play, bandwidth, damping and rate limit of each joint, with intervals.

    Body, antennas and head move for 35 seconds, within the classroom limits.

    Example: reachy-kit sysid --robot daemon --out runs/sysid
    """
    from reachy_kit.runtime.interface import CONTROL_HZ
    from reachy_sim.sysid.excitation import excitation_targets
    from reachy_sim.sysid.identification import identify_motors

    _check_writable(out)
    targets = excitation_targets()
    _agree(robot, len(targets) / CONTROL_HZ, yes)
    from reachy_sim.tasks import variant_by_name

    simulated = robot in ("sim", "daemon")
    world = variant_by_name("look_at") if simulated else None  # stages want one; nobody looks at it
    with open_session(robot, world, "geometry" if simulated else "auto", camera=False) as stage:
        name = robot if simulated else stage.robot.name
        recording = _record(stage, targets)
    recording.save(out / RECORDING)
    if recording.stalled > TOO_BUSY:
        show.note(
            f"the robot or this computer was held up for {recording.stalled:.0%} of the time: what is found holds for "
            "such times. Close other programs and measure again"
        )
    with show.progress("fitting", total=4) as advance:
        found = identify_motors(recording, delay=delay, on_fit=advance)
    known = "" if delay is None else f" --delay {delay:g}"
    _save(out, recording, found, name, f"reachy-kit sysid --robot {robot}{known}")
    if json:
        import json as parser

        show.print_json({"out": str(out), **parser.loads((out / ACTUATORS).read_text())})
        return
    show.print_table(_table(f"motors of {name}: best fit, and the 95 % interval below", found))
    show.result(
        f"motors in {out / ACTUATORS}, picture in {out / PICTURE}. "
        f'Next, train around them: randomization="{out / ACTUATORS}" in gymnasium.make_vec'
    )


def _check_writable(out: Path) -> None:
    """Before the robot moves, not after."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUseError(f"--out {out} cannot be made ({error.strerror}). Choose another folder") from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise WrongUseError(f"--out {out} cannot be written. Choose another folder")


def _agree(robot: str, seconds: float, yes: bool) -> None:
    """Nobody shakes a real robot without a look at its table; a simulated one is nobody's worry.

    Raises:
        RefusedError: nobody is there to say yes, or somebody said no.
    """
    from reachy_kit.runtime.robots.daemon import DEFAULT_PORT, DaemonAddress, daemon_status, is_simulated

    if yes or robot in ("sim", "daemon"):
        return
    host, _, port = robot.partition(":")
    status = daemon_status(DaemonAddress(host, int(port) if port.isdecimal() else DEFAULT_PORT))
    if status is None or is_simulated(status):
        return  # where none answers, connecting says so
    warning = f"the head and antennas of {robot} will move for {seconds:.0f} s; clear the table"
    if not sys.stdin.isatty():
        raise RefusedError(f"{warning}. Then say so: --yes")
    if not typer.confirm(f"{warning}. Go?", err=True):
        raise RefusedError("nothing was moved")


def _record(stage: Session, targets: "Array") -> "MotorRecording":
    from reachy_sim.sysid.motor_recording import record_motors

    with show.progress(f"moving {stage.robot.name}", total=len(targets)) as advance:
        return record_motors(stage.robot, targets, wall_clock=stage.wall_clock, on_tick=advance)


def _save(out: Path, recording: "MotorRecording", found: "IdentifiedMotors", name: str, command: str) -> None:
    from reachy_sim.sysid.identification_plot import plot_motors

    date = datetime.now(UTC)
    seconds = float(recording.captured[-1] - recording.captured[0])
    (out / PICTURE).write_bytes(plot_motors(recording, found, f"Motors of {name}, {date:%Y-%m-%d}"))
    stalled = round(recording.stalled, 4)
    details = {
        "robot": name,
        "stalled": stalled,
        "date": date.isoformat(timespec="seconds"),
        "command": command,
        "seconds": seconds,
    }
    found.save(out / ACTUATORS, details)


def _table(title: str, found: "IdentifiedMotors") -> "Table":
    from rich import box
    from rich.table import Table

    from reachy_sim.sysid.identification_plot import table_headings, table_rows

    made = Table(title=title, box=box.SIMPLE, padding=0, collapse_padding=True)
    for heading in table_headings():
        made.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for row in table_rows(found):
        made.add_row(*row)
    return made
