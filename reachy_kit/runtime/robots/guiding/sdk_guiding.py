"""How a robot behind a daemon is let go for a hand, and held again without a jump."""

import time
from typing import Any, Protocol

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import CONTROL_HZ, Action, Array
from reachy_kit.runtime.robots.daemon import DaemonAddress
from reachy_kit.runtime.robots.guiding.guidable import GuidanceMode
from reachy_kit.runtime.robots.guiding.motor_modes import MotorMode, MotorModes

_MODES = {
    GuidanceMode.GRAVITY_COMPENSATION: MotorMode.GRAVITY_COMPENSATION,
    GuidanceMode.LIMP: MotorMode.DISABLED,
}
_TICK = 1 / CONTROL_HZ
_ANTENNA, _ANTENNA_AXIS = "right_antenna", 7
_NUDGE = 0.15
"""Angle by which an antenna is asked to move while its motor is off, rad; upwards, so that its weight does not help."""
_NUDGE_TICKS = 25
"""Time that it has for that, ticks: half a second, five times what it needs."""


class _Link(Protocol):
    """What guiding needs of the robot."""

    @property
    def sdk(self) -> Any:
        """The SDK's robot."""
        ...

    def measured(self) -> Array:
        """(9,) now."""
        ...

    def wait_for_next(self) -> None:
        """Wait for a measurement that is yet to arrive."""
        ...

    def require_alive(self) -> None:
        """Refuse a connection that has broken."""
        ...

    def rest_at(self, pose: Array) -> None:
        """Take a (9,) pose as the command in force, at rest, without sending it."""
        ...

    def command(self, target: Action) -> Action:
        """Limit a (9,) target and send it; returns what was sent."""
        ...


class SdkGuiding:
    """Guiding of one robot.

    Args:
        address: of its daemon.
    """

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address
        self._modes = MotorModes(address)

    def prepare(self, link: _Link) -> GuidanceMode:
        """Find out how the robot can be guided; nothing but one antenna is let go.

        Raises:
            RefusedError: its motors do not go off.
            NoRobotError: it does not answer.
        """
        self._require_motors_that_go_off(link)
        return GuidanceMode.GRAVITY_COMPENSATION if self._modes.compensates_gravity() else GuidanceMode.LIMP

    def let_go(self, guidance: GuidanceMode) -> MotorMode:
        """Let the motors give way; returns their mode.

        Raises:
            RefusedError: the daemon refuses, or does nothing.
            NoRobotError: it does not answer.
        """
        mode = _MODES[guidance]
        self._modes.set(mode)
        return mode

    def hold(self, link: _Link) -> Array:
        """Let the motors hold the robot where it is; returns that (9,) pose.

        The target is the measured pose before the motors go on, and again afterwards: whatever a daemon remembers, it
        never drives the head back to an older target. Each is measured after the call, and the motors stay as they
        are where the target was not sent.

        Raises:
            RefusedError: the daemon refuses.
            NoRobotError: it does not answer, or measurements stay away.
        """
        _hold_target(link)
        time.sleep(_TICK)  # the daemon takes a target at its next tick
        _hold_target(link)
        self._modes.set(MotorMode.ENABLED)
        return _hold_target(link)

    def hold_again(self, link: _Link) -> None:
        """Hold the robot where it is if its motors are off, as after a program that was killed while it was guided."""
        if self._modes.mode() != MotorMode.ENABLED:
            self.hold(link)

    def _require_motors_that_go_off(self, link: _Link) -> None:
        """Switch one antenna's motor off and ask it to move: a simulated daemon agrees, and moves it."""
        before = link.measured()
        link.rest_at(before)
        nudged = before.copy()
        nudged[_ANTENNA_AXIS] += _NUDGE
        link.sdk.disable_motors(ids=[_ANTENNA])
        for _ in range(_NUDGE_TICKS):
            link.command(nudged)
            time.sleep(_TICK)
        after = link.measured()
        held = before.copy()
        held[_ANTENNA_AXIS] = after[_ANTENNA_AXIS]
        link.rest_at(held)
        link.command(held)
        time.sleep(_TICK)
        link.sdk.enable_motors(ids=[_ANTENNA])
        if after[_ANTENNA_AXIS] - before[_ANTENNA_AXIS] > _NUDGE / 2:
            raise RefusedError(
                f"the daemon at {self._address} does not switch its motors off: it agrees, and they still move, as in "
                "a simulation. Guide a real robot, or --robot sim"
            )


def _hold_target(link: _Link) -> Array:
    """Take the measured pose as the target; returns what was sent, which differs where it is out of reach."""
    link.wait_for_next()
    pose = link.measured()
    link.rest_at(pose)
    sent = link.command(pose)
    link.require_alive()
    return sent
