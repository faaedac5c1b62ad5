"""A motor that does not follow: limp after an error of its servo, unplugged, or held.

The daemon says nothing of it: it publishes where the joints are, not whether they carry torque. A motor follows its
commands within a delay, give or take the sag under the head's weight. So between any two instants it has moved at least
as far as the commands around the one are from the commands around the other, less that sag; one that has not moved
then does not follow.
"""

import time
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, CONTROL_HZ, Array
from reachy_kit.runtime.kinematics import inverse_of_vector
from reachy_kit.runtime.safety import Motion

MOTORS = ("body_rotation", *(f"stewart_{leg}" for leg in range(1, 7)), "right_antenna", "left_antenna")
"""Names as in the SDK, in the order of its joint positions."""
COMMANDED = np.deg2rad(3.0)
"""Motion that a motor must have been commanded, rad, before it is looked at."""
MOVED, MISSING = 0.4, 0.8
"""Share of it below which a motor counts as not moved, where so many times ``COMMANDED`` are missing too: a motor that
sticks a little is not limp, and a limp one is dragged along by the others."""
DELAY = 12
"""Measurements within which a motor answers, 0.24 s: five times the simulated motors' delay."""
PATIENCE = 6
"""Measurements that say the same before a motor is named, 0.12 s."""
_PERIOD = 1 / CONTROL_HZ
"""Time between two measurements, s. Where they come more slowly, the robot is a simulation on a busy computer, and
slow; where they come in a burst, they were held up. So that many measurements and their time both have to pass."""
MEMORY = 150
"""Measurements that are compared with the present, 3 s: a slow motion takes a while to cover 3°."""
_LATELY = 12
"""Measurements of the recent past, 0.24 s."""
AWAY = np.deg2rad(2.5)
"""How far outside its commands a motor that does not follow stands at least, rad."""
_HEAD, _ANTENNAS = slice(0, 7), slice(7, 9)
"""Motors of body and head, and of the antennas."""
_HELD = 0.2
"""The same share for the other motors of the head: those that a hand holds do not move at all."""
_ALONE, _OTHERS = 1.5, np.deg2rad(2.0)
"""A motor of the head fails alone: it is so many times further from its commands than each of the others, and those are
within so many rad. If it is not, the head is held by a hand, touches the body, has all its motors off, or is driven by
something else; ``OtherDrivers`` reports what lasts."""


class MotorFollowing:
    """Compares commanded and measured joints.

    Args:
        robot: named in messages.
        note: receives a line, once, of an antenna that does not follow: people play with those, so that the robot
            drives on.
        now: a clock, s.
    """

    def __init__(
        self,
        robot: str,
        note: Callable[[str], None] = lambda text: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._robot, self._note, self._now = robot, note, now
        self._noted: set[np.int64] = set()
        self.restart()

    def restart(self) -> None:
        """Forget what was before."""
        self._commands: deque[tuple[int, float, Array]] = deque()
        self._lows, self._highs, self._measured = (np.full((MEMORY, len(MOTORS)), np.nan) for _ in range(3))
        self._count: int | None = None
        self._failing: npt.NDArray[np.int64] = np.zeros(len(MOTORS), dtype=np.int64)
        self._since: Array = np.zeros(len(MOTORS))

    def check(self, commanded: Motion, measured: Array, measurements: int) -> None:
        """Compare the motors with what they were commanded.

        Args:
            commanded: the motion that was sent last.
            measured: (9,) rad, in the order of ``MOTORS``.
            measurements: received since connecting; the robot's own time, also where its daemon is slow.

        Raises:
            RefusedError: a motor of the body or the head does not follow; it names the motor.
        """
        fresh = 1 if self._count is None else measurements - self._count
        if fresh <= 0:
            return
        self._count, now = measurements, self._now()
        self._commands.append((measurements, now, commanded_joints(commanded)))
        while len(self._commands) > 1 and self._is_over(*self._commands[1][:2]):
            self._commands.popleft()
        if not self._is_over(*self._commands[0][:2]):
            return
        commands = np.array([command for _, _, command in self._commands])
        low, high = commands.min(axis=0), commands.max(axis=0)
        away = np.maximum(low - measured, measured - high)
        fails = (
            self._stands(low, high, measured, COMMANDED, MOVED) & (away > AWAY) & ~self._is_moving(low, high, measured)
        )
        still = self._stands(low, high, measured, COMMANDED / 2, _HELD)
        fails[_HEAD] &= _is_alone(away[_HEAD]) & (np.count_nonzero(still[_HEAD]) < 2)
        fails[_ANTENNAS] &= _is_alone(away[_ANTENNAS])  # both together are a robot that is late
        self._since = np.where(self._failing > 0, self._since, now)
        self._failing = np.where(fails, self._failing + fresh, 0)
        self._remember(min(fresh, MEMORY), low, high, measured)
        self._report_all((self._failing >= PATIENCE) & (now - self._since >= (PATIENCE - 1) * _PERIOD - 1e-9), away)

    def _is_over(self, count: int, sent: float) -> bool:
        """Whether a motor has had the time to answer a command."""
        assert self._count is not None
        return self._count - count >= DELAY and self._now() - sent >= DELAY * _PERIOD - 1e-9

    def _is_moving(self, low: Array, high: Array, measured: Array) -> npt.NDArray[np.bool_]:
        """(9,) whether each motor has lately moved half as far as its commands: friction holds it back, or a load."""
        lows, highs, before = self._lows[-_LATELY:], self._highs[-_LATELY:], self._measured[-_LATELY:]
        commanded = np.fmax(np.fmax.reduce(highs), high) - np.fmin(np.fmin.reduce(lows), low)
        covered = np.fmax(np.fmax.reduce(before), measured) - np.fmin(np.fmin.reduce(before), measured)
        return np.asarray(covered > 0.5 * commanded)

    def _stands(
        self, low: Array, high: Array, measured: Array, commanded: float, share: float
    ) -> npt.NDArray[np.bool_]:
        """(9,) whether each motor was commanded to move since some instant, and has moved less than a share of that."""
        moved = measured - self._measured
        # (MEMORY, 9) rad, motion that was commanded since each remembered instant, at least.
        ways = (low - self._highs, moved), (self._lows - high, -moved)
        with np.errstate(invalid="ignore"):
            up, down = (
                (way > commanded) & (covered < share * way) & (way - covered > MISSING * commanded)
                for way, covered in ways
            )
        return np.asarray((up | down).any(axis=0))

    def _report_all(self, named: npt.NDArray[np.bool_], away: Array) -> None:
        """Refuse to drive on, or say once that an antenna does not follow."""
        motors = np.flatnonzero(named)
        vital = motors[motors < _HEAD.stop]
        if vital.size:
            raise RefusedError(self._report(vital, float(away[vital].max())))
        for antenna in motors:
            if antenna not in self._noted:
                self._noted.add(antenna)
                self._note(f"warning: {self._report(motors[motors == antenna], float(away[antenna]))}")

    def _report(self, named: npt.NDArray[np.int64], away: float) -> str:
        names = " and ".join(MOTORS[motor] for motor in named)
        return (
            f"{names} of {self._robot} does not follow: it is {np.rad2deg(away):.0f}° away from where it was "
            "commanded. Is it held or blocked? Otherwise its motor is limp: switch the robot off and on again, and "
            "look at its cable"
        )

    def _remember(self, count: int, low: Array, high: Array, measured: Array) -> None:
        for rows, row in ((self._lows, low), (self._highs, high), (self._measured, measured)):
            rows[:-count] = rows[count:]
            rows[-count:] = row


def _is_alone(away: Array) -> npt.NDArray[np.bool_]:
    """Whether each motor is much further from its commands than every other."""
    first, second = np.sort(away)[:-3:-1]
    return np.asarray((away >= first) & (first > _ALONE * second) & (second < _OTHERS))


def commanded_joints(motion: Motion) -> Array:
    """(9,) rad that a motion commands, in the order of ``MOTORS``; the limiter has mostly computed the legs."""
    legs = inverse_of_vector(motion.position) if motion.legs is None else motion.legs
    return np.concatenate([motion.position[BODY_YAW, None], legs, motion.position[ANTENNAS]])
