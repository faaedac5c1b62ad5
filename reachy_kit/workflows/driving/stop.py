"""Stop whatever this computer drives: the robot lies down, and the program that drove it ends.

Try it: reachy-kit stop   (while `reachy-kit run` drives in another terminal)
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass

from reachy_kit.runtime.errors import NoRobotError, RefusedError
from reachy_kit.runtime.interrupts import interrupts_held_back
from reachy_kit.runtime.robots.daemon import parse_address
from reachy_kit.runtime.robots.link.driver_lock import Driver, find_drivers
from reachy_kit.workflows.inputs.reporter import SILENT, Reporter

PATIENCE = 15.0
"""Time in which a program that was stopped brings its robot to rest and ends, s; it usually takes 4."""
_POLL = 0.05


@dataclass(frozen=True)
class StoppedRobot:
    """A robot that was stopped."""

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
        RefusedError: a program belongs to another user.
        NoRobotError: a program was killed, and its robot cannot be reached.
    """
    signalled, foreign = list[Driver](), list[Driver]()
    for driver in find_drivers(parse_address(robot) if robot else None):  # all of them, before one is waited for
        try:
            _send(driver, driver.stop)
            signalled.append(driver)
        except PermissionError:
            foreign.append(driver)
    stopped = [_wait(driver, reporter) for driver in signalled]
    if foreign:
        which = " and ".join(f"process {driver.pid}, which drives {driver.robot}," for driver in foreign)
        raise RefusedError(f"{which} belongs to another user. Ask them to stop it, or stop it with sudo")
    return stopped


def _wait(driver: Driver, reporter: Reporter) -> StoppedRobot:
    """Wait until a robot lies; a program that does not react is killed, and the robot brought to rest from here."""
    with reporter.working(f"{driver.robot} is coming to rest"):
        deadline = time.monotonic() + PATIENCE
        while driver.is_driving:
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL)
        else:
            return StoppedRobot(driver.robot, driver.pid, killed=False)
    reporter.note(f"process {driver.pid} does not react. It is killed, and {driver.robot} is brought to rest from here")
    with interrupts_held_back():
        _send(driver, signal.SIGKILL)
        while driver.is_driving:
            time.sleep(_POLL)
        _bring_to_rest(driver)
    return StoppedRobot(driver.robot, driver.pid, killed=True)


def _bring_to_rest(driver: Driver) -> None:
    from reachy_kit.runtime.robots.lifecycle import connected
    from reachy_kit.runtime.robots.sdk import SdkRobot, SdkRobotConfig

    address = parse_address(driver.robot)
    try:
        with connected(SdkRobot(SdkRobotConfig(address.host, address.port))):
            pass
    except NoRobotError as error:
        raise NoRobotError(
            f"process {driver.pid} was killed, and {driver.robot} cannot be reached: {error}. Is its head still up?"
        ) from error


def _send(driver: Driver, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(driver.pid, number)
