"""A motor that does not follow: limp after an error of its servo, unplugged, or held.

The daemon says nothing of it: it publishes where the joints are, not whether they carry torque. A motor follows its
commands within a delay, give or take the sag under the head's weight. So between any two instants it has moved at least
as far as the commands around the one are from the commands around the other, less that sag; one that has not moved
then does not follow.

A limp leg stands by its friction while its own command moves. Where the other five move the head they drag it along:
in the physics of the daemon's simulation over 28 of the 46° of getting up. It has moved then, and is named only once
it stands while it is commanded (``tests/integration/test_limp_motor.py``). A motion that swings back within ``DELAY``,
such as a shake of the head at 2 Hz, says nothing about a motor either.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, Array
from reachy_kit.runtime.kinematics import inverse_of_vector
from reachy_kit.runtime.safety import Motion

MOTORS = ("body_rotation", *(f"stewart_{leg}" for leg in range(1, 7)), "right_antenna", "left_antenna")
"""Names as in the SDK, in the order of its joint positions."""
COMMANDED = np.deg2rad(3.0)
"""Motion that a motor must have been commanded, rad, before it is looked at."""
MOVED = 0.2
"""Share of it below which a motor has not moved: a limp leg slides a little, a head that touches the body settles."""
AWAY = np.deg2rad(2.5)
"""How far outside its commands a motor that does not follow stands at least, rad. At 2.0° a jump was named."""
ALONE, OTHERS = 1.5, np.deg2rad(2.0)
"""A motor fails alone: it is so many times further from its commands than each of the others, those are within so many
rad, and none of them stands where it was commanded half of ``COMMANDED``. If it is not, the head is held by a hand,
touches the body, has all its motors off, or is driven by something else; ``OtherDrivers`` reports what lasts."""
DELAY = 12
"""Measurements within which a motor answers, 0.24 s: five times the simulated motors' delay."""
PATIENCE = 6
"""Measurements that say the same before a motor is named, 0.12 s."""
MEMORY = 150
"""Measurements that are compared with the present, 3 s: a slow motion takes a while to cover 3°."""
_HEAD, _ANTENNAS = slice(0, 7), slice(7, 9)
"""Motors of body and head, and of the antennas."""


class MotorFollowing:
    """Compares commanded and measured joints.

    Args:
        robot: named in messages.
        note: receives a line about an antenna that does not follow: people play with those, so that the robot drives
            on. While the robot lies down, also about any other motor.
    """

    def __init__(self, robot: str, note: Callable[[str], None] = lambda text: None) -> None:
        self._robot, self._note = robot, note
        self._noted: set[int] = set()
        self._refuses = True
        self.restart()

    def restart(self) -> None:
        """Forget what was before: the robot is at rest where it is commanded to be."""
        self._count: int | None = None
        self._commands = np.empty((DELAY + 1, len(MOTORS)))
        self._lows, self._highs, self._measured = (np.full((MEMORY, len(MOTORS)), np.nan) for _ in range(3))
        self._failing: npt.NDArray[np.int64] = np.zeros(len(MOTORS), dtype=np.int64)

    def only_note(self) -> None:
        """Refuse nothing from now on: a robot lies down as far as it can. Each motor is noted once at most."""
        self._refuses = False

    def check(self, commanded: Motion, measured: Array, measurements: int) -> None:
        """Compare the motors with what they were commanded.

        Args:
            commanded: the motion that was sent last.
            measured: (9,) rad, in the order of ``MOTORS``.
            measurements: received since connecting; without a new one nothing is compared.

        Raises:
            RefusedError: a motor of the body or the head does not follow; it names the motor.
        """
        if measurements == self._count:
            return
        if self._count is None:
            self._commands[:] = commanded_joints(commanded)
        self._count = measurements
        _append(self._commands, commanded_joints(commanded))
        low, high = self._commands.min(axis=0), self._commands.max(axis=0)
        away = np.maximum(low - measured, measured - high)
        fails = self._stands(low, high, measured, COMMANDED) & (away > AWAY)
        fails &= ~self._is_moving(low, high, measured)
        still = self._stands(low, high, measured, COMMANDED / 2)
        fails[_HEAD] &= _is_alone(away[_HEAD]) & (np.count_nonzero(still[_HEAD]) < 2)
        fails[_ANTENNAS] &= _is_alone(away[_ANTENNAS])  # both together are a robot that is late
        self._failing = np.where(fails, self._failing + 1, 0)
        for rows, row in ((self._lows, low), (self._highs, high), (self._measured, measured)):
            _append(rows, row)
        for motor in np.flatnonzero(self._failing >= PATIENCE).tolist():
            self._report(motor, float(away[motor]))

    def _stands(self, low: Array, high: Array, measured: Array, commanded: float) -> npt.NDArray[np.bool_]:
        """(9,) whether each motor was commanded to move since some instant, and has not moved."""
        moved = measured - self._measured
        # (MEMORY, 9) rad, motion that was commanded since each remembered instant, at least.
        ways = (low - self._highs, moved), (self._lows - high, -moved)
        up, down = ((way > commanded) & (covered < MOVED * way) for way, covered in ways)
        return np.asarray((up | down).any(axis=0))

    def _is_moving(self, low: Array, high: Array, measured: Array) -> npt.NDArray[np.bool_]:
        """(9,) whether each motor has lately moved half as far as its commands: friction holds it back, or a load."""
        lows, highs, before = self._lows[-DELAY:], self._highs[-DELAY:], self._measured[-DELAY:]
        commanded = np.fmax(np.fmax.reduce(highs), high) - np.fmin(np.fmin.reduce(lows), low)
        covered = np.fmax(np.fmax.reduce(before), measured) - np.fmin(np.fmin.reduce(before), measured)
        return np.asarray(covered > 0.5 * commanded)

    def _report(self, motor: int, away: float) -> None:
        """Refuse to drive on, or say it once."""
        text = (
            f"{MOTORS[motor]} of {self._robot} does not follow: it is {np.rad2deg(away):.0f}° away from where it was "
            "commanded. Is it held or blocked? Otherwise its motor is limp: switch the robot off and on again, and "
            "look at its cable"
        )
        known = motor in self._noted
        self._noted.add(motor)
        if self._refuses and motor < _HEAD.stop:
            raise RefusedError(text)
        if not known:
            self._note(f"warning: {text}")


def _append(rows: Array, row: Array) -> None:
    rows[:-1] = rows[1:]
    rows[-1] = row


def _is_alone(away: Array) -> npt.NDArray[np.bool_]:
    """Whether each motor is much further from its commands than every other."""
    first, second = np.sort(away)[:-3:-1]
    return np.asarray((away >= first) & (first > ALONE * second) & (second < OTHERS))


def commanded_joints(motion: Motion) -> Array:
    """(9,) rad that a motion commands, in the order of ``MOTORS``; the limiter has mostly computed the legs."""
    legs = inverse_of_vector(motion.position) if motion.legs is None else motion.legs
    return np.concatenate([motion.position[BODY_YAW, None], legs, motion.position[ANTENNAS]])
