"""A robot's motors, measured, so that the simulator can behave like it.

Try it: reachy-kit sysid --robot sim --out runs/sysid
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit.runtime.durable_files import begins_with, check_file, check_folder
from reachy_kit.runtime.interface import CONTROL_HZ
from reachy_kit.runtime.robots.daemon import daemon_status, is_simulated, parse_address
from reachy_kit.runtime.shell_command import portable_command
from reachy_kit.workflows.inputs.guarded_session import guard, stoppable_session
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter
from reachy_kit.workflows.inputs.session import SIMULATED, simulated_variant

if TYPE_CHECKING:
    from reachy_sim.sysid.identification import IdentifiedMotors
    from reachy_sim.sysid.motor_recording import MotorRecording

ACTUATORS, RECORDING, PLOT = "actuators.json", "recording.npz", "sysid.png"
"""Names of the files of a result."""
TOO_BUSY = 0.01
"""Largest share of time lost to stalls without a warning. Two runs on the daemon agreed at 0.2 %, not at 6 %."""


@dataclass(frozen=True)
class MotorResult:
    """Identified motors, and the files that hold them."""

    robot: str
    identified: "IdentifiedMotors"
    actuators: Path
    """JSON with the motors and their intervals."""
    plot: Path


def measure_motors(
    robot: str = "sim",
    out: Path = Path("runs/sysid"),
    *,
    delay: float | None = None,
    confirm: Callable[[str], None] = lambda warning: None,
    reporter: Reporter = SILENT,
) -> MotorResult:
    """Move body, antennas and head within the classroom limits, and fit the motors to what was measured.

    Args:
        robot: ``sim``, ``daemon`` or HOST[:PORT].
        out: folder of the result; an earlier one is replaced.
        delay: s, where it is known; None to fit it too.
        confirm: called with a warning before a real robot moves; it raises an error to prevent that.
        reporter: shows the progress.

    Returns:
        The motors.

    Raises:
        WrongUseError: the folder cannot be written.
        RefusedError: another file would be overwritten.
        KitError: the disk is full, or a watchdog has ended the motion.
        NoRobotError: no robot answers.
    """
    from reachy_sim.sysid import identification
    from reachy_sim.sysid.excitation import excitation_targets
    from reachy_sim.sysid.motor_recording import record_motors

    _check_writable(out)
    targets = excitation_targets()
    if _is_real(robot):
        seconds = len(targets) / CONTROL_HZ
        confirm(f"the head and antennas of {robot} will move for {seconds:.0f} s; clear the table")
    simulated = robot in SIMULATED
    variant = simulated_variant(robot, "look_at")  # a simulated session needs a task, though nothing follows it
    perception = "geometry" if simulated else "auto"
    with stoppable_session(robot, variant, perception, camera=False, reporter=reporter) as session:
        name = robot if simulated else session.robot.name
        with reporter.progress(f"moving {session.robot.name}", total=len(targets)) as advance:
            recording = record_motors(
                session.robot,
                targets,
                wall_clock=session.wall_clock,
                guard=lambda policy: guard(policy, session, resumes=False),
                on_tick=advance,
            )
    recording.save(out / RECORDING)
    if recording.stalled > TOO_BUSY:
        reporter.note(
            f"the robot or this computer was held up for {recording.stalled:.0%} of the time: the result holds for "
            "such times. Close other programs and measure again"
        )
    with reporter.progress("fitting", total=4) as advance:
        identified = identification.identify_motors(recording, delay=delay, on_fit=advance)
    _save(out, recording, identified, name, portable_command("sysid", robot=robot, delay=delay, out=out.name))
    return MotorResult(name, identified, out / ACTUATORS, out / PLOT)


def _check_writable(out: Path) -> None:
    """Check before the robot moves that the files can be written, over an earlier result at most."""
    check_folder(out)
    kinds = {
        ACTUATORS: begins_with(b"{"),
        RECORDING: begins_with(b"PK"),
        PLOT: begins_with(b"\x89PNG"),
    }
    if out.is_dir():
        for name, is_one in kinds.items():
            check_file(out / name, "of an earlier result", is_one)
    out.mkdir(parents=True, exist_ok=True)


def _is_real(robot: str) -> bool:
    """Whether a robot answers that is not simulated; where none answers, connecting says so."""
    if robot in SIMULATED:
        return False
    status = daemon_status(parse_address(robot))
    return status is not None and not is_simulated(status)


def _save(out: Path, recording: "MotorRecording", identified: "IdentifiedMotors", name: str, command: str) -> None:
    from reachy_sim.sysid.identification_plot import plot_motors

    date = datetime.now(UTC)
    (out / PLOT).write_bytes(plot_motors(recording, identified, f"Motors of {name}, {date:%Y-%m-%d}"))
    details = {
        "robot": name,
        "stalled": round(recording.stalled, 4),
        "date": date.isoformat(timespec="seconds"),
        "command": command,
        "seconds": float(recording.captured[-1] - recording.captured[0]),
    }
    identified.save(out / ACTUATORS, details)
