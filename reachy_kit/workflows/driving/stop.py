"""Stop whatever this computer drives: the robot lies down, and the program that drove it ends.

Try it: reachy-kit stop   (while `reachy-kit run` drives in another terminal)
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass

import numpy as np

from reachy_kit.runtime.errors import KitError, NoRobotError, RefusedError, WrongUseError
from reachy_kit.runtime.interrupts import interrupts_held_back
from reachy_kit.runtime.robots.daemon import DaemonAddress, ask_daemon, daemon_status, is_simulated, parse_address
from reachy_kit.runtime.robots.guiding.motor_modes import MotorMode
from reachy_kit.runtime.robots.link.driver_lock import Driver, find_drivers
from reachy_kit.runtime.robots.link.resting_ways import lies
from reachy_kit.runtime.robots.state_stream import StateStream
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter

PATIENCE = 15.0
"""Time without a motion of the robot after which the program that was stopped counts as hung, s."""
LONGEST = 60.0
"""Time after which it counts as hung though the robot moves, s; a program that works waits up to 12 s for another's
move, and up to 20 s for a head that something blocks."""
_MOVED = 0.03
"""Change of the measured pose that counts as a motion, m and rad."""
_POLL = 0.05
_ANSWER_WITHIN = 2.0
"""Longest wait for a daemon's answer, s."""
_SIMULATIONS = ("daemon", "sim")


@dataclass(frozen=True)
class StoppedRobot:
    """A robot that was stopped, and lies."""

    robot: str
    """Host and port of its daemon."""
    pid: int
    """Process that drove it."""
    killed: bool
    """Whether that process did not react and was killed; the robot was then brought to rest from here."""


def stop_robots(robot: str = "", reporter: Reporter = SILENT) -> list[StoppedRobot]:
    """Stop every program of this computer that drives a robot, and wait until the robots lie.

    Args:
        robot: HOST[:PORT] of the one to stop; empty for all.
        reporter: shows the progress.

    Returns:
        What was stopped.

    Raises:
        WrongUseError: ``robot`` is the name of a simulation.
        RefusedError: a program belongs to another user, or a robot does not lie down.
        NoRobotError: a program has ended, and its robot cannot be reached.
    """
    if robot in _SIMULATIONS:
        raise WrongUseError(f"--robot {robot}: name HOST[:PORT], or leave it out to stop all that this computer drives")
    signalled, stopped, errors = list[Driver](), list[StoppedRobot](), list[KitError]()
    for driver in find_drivers(parse_address(robot) if robot else None):  # all of them, before one is waited for
        try:
            _send(driver, driver.stop)
            signalled.append(driver)
        except PermissionError:
            whose = f"process {driver.pid}, which drives {driver.robot}, belongs to another user"
            errors.append(RefusedError(f"{whose}. Ask them to stop it, or stop it with sudo"))
    simulated = [is_simulated(daemon_status(parse_address(driver.robot), _ANSWER_WITHIN) or {}) for driver in signalled]
    for driver, of_simulation in zip(signalled, simulated, strict=True):
        try:
            stopped.append(_stop(driver, of_simulation, reporter))
        except KitError as error:
            errors.append(error)
    if errors:
        for one in stopped:
            reporter.note(f"{one.robot} was stopped and lies down; process {one.pid} has ended")
        for other in errors[1:]:
            reporter.note(str(other))
        raise errors[0]
    return stopped


def _stop(driver: Driver, of_simulation: bool, reporter: Reporter) -> StoppedRobot:
    """Wait until a program ends, kill one that does not react, and bring a robot that does not lie to rest from here.

    Args:
        driver: the program, which was told to stop.
        of_simulation: its robot is simulated, perhaps by a daemon that ends with it.
        reporter: shows the progress.
    """
    with reporter.working(f"{driver.robot} is coming to rest"):
        killed = not _wait(driver)
    with interrupts_held_back():
        if killed:
            reporter.note(f"process {driver.pid} does not react. It is killed")
            _send(driver, signal.SIGKILL)
            while driver.is_driving:
                time.sleep(_POLL)
        rests = _rests(parse_address(driver.robot))
        if rests is False or (rests is None and not of_simulation):
            reporter.note(f"{driver.robot} is brought to rest from here")
            _bring_to_rest(driver)
    return StoppedRobot(driver.robot, driver.pid, killed)


def _wait(driver: Driver) -> bool:
    """Wait until a program ends; False if it does not, though its robot has come to a standstill."""
    stream = StateStream(parse_address(driver.robot))
    try:
        began = moved = time.monotonic()
        before = stream.state
        while driver.is_driving:
            now, state = time.monotonic(), stream.state
            if state is not None and (before is None or np.abs(state - before).max() > _MOVED):
                before, moved = state, now
            if now - moved > PATIENCE or now - began > LONGEST:
                return False
            time.sleep(_POLL)
    finally:
        stream.stop()
    return True


def _rests(address: DaemonAddress) -> bool | None:
    """Whether a robot lies or its motors are off, as its daemon says; None where none answers."""
    try:
        full = ask_daemon(address, "/api/state/full", timeout=_ANSWER_WITHIN)
        head = [full["head_pose"][name] for name in ("x", "y", "z", "roll", "pitch", "yaw")]
        state = np.array([*head, full["body_yaw"], *full["antennas_position"]])
        return bool(full["control_mode"] == MotorMode.DISABLED) or lies(state)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _bring_to_rest(driver: Driver) -> None:
    from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig

    address = parse_address(driver.robot)
    try:
        SdkRobot(SdkRobotConfig(address.host, address.port)).bring_to_rest()
    except NoRobotError as error:
        raise NoRobotError(
            f"process {driver.pid} has ended, and {driver.robot} cannot be reached: {error}. Is its head still up?"
        ) from error


def _send(driver: Driver, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(driver.pid, number)
