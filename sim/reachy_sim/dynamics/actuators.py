"""Model of the nine motors: delay, gain, backlash, a second-order response and a rate limit.

The kinematic tier consists of it; the physics tier puts it before its own actuators where a robot is slower than they
are. Values come from a JSON that ``reachy-kit sysid`` writes, and from the domain parameters.
Try it: reachy-kit sysid --robot sim --out runs/sysid
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from reachy_kit.runtime.errors import RefusedError, WrongUseError
from reachy_kit.runtime.interface import CONTROL_HZ, NEUTRAL, Array
from reachy_kit.runtime.shell_command import compose_command
from reachy_sim.dynamics.joints import JOINTS, Ids, joint_targets

TICK = 1 / CONTROL_HZ
"""Control tick, s."""
MAX_DELAY = 0.12
"""Longest delay for which the simulator remembers commands, s."""
AS_SHIPPED = np.inf
"""Bandwidth that leaves the response to the physics tier's own actuators."""
_REST: Array = joint_targets(NEUTRAL)


@dataclass(frozen=True)
class Actuators:
    """Parameters per joint in the order of ``JOINTS``; a scalar applies to all nine. A batch has (N, 9) or (N, 1)."""

    delay: Array | float = 0.03
    """Time from a command to its arrival at the motor, s. The real robot needs 20–40 ms (reachy_mini documentation)."""
    bandwidth: Array | float = AS_SHIPPED
    """Undamped natural frequency of the response, Hz."""
    damping: Array | float = 1.0
    """Damping ratio of that response; 1 does not overshoot."""
    gain: Array | float = 1.0
    """Share of the commanded motion from neutral that is carried out."""
    rate_limit: Array | float = np.inf
    """Highest speed, rad/s."""
    backlash: Array | float = 0.0
    """Play between motor and joint, rad."""
    friction: Array | float = 1.0
    """Dry friction, in multiples of the model's. The kinematic tier has no friction."""

    def __post_init__(self) -> None:
        low = {"bandwidth": 0.1, "damping": 0.05, "gain": 0.05, "rate_limit": 0.05}
        for field in fields(self):
            value = np.asarray(getattr(self, field.name), dtype=np.float64)
            least, most = low.get(field.name, 0.0), MAX_DELAY if field.name == "delay" else np.inf
            if np.isnan(value).any() or (value < least).any() or (value > most).any():
                raise WrongUseError(f"actuators: {field.name} must lie in {least:g}…{most:g}, got {value.tolist()}")

    def table(self, count: int) -> dict[str, Array]:
        """Every parameter by name, broadcast to (count, 9)."""
        return {
            field.name: np.array(np.broadcast_to(getattr(self, field.name), (count, len(JOINTS))), dtype=np.float64)
            for field in fields(self)
        }

    def save(self, path: Path, details: Mapping[str, Any] | None = None) -> None:
        """Write the JSON that ``load`` reads; ``details`` (intervals, robot, date) are stored beside the values."""
        values = {name: row[0].tolist() for name, row in self.table(1).items()}
        finite = {name: [v if np.isfinite(v) else None for v in row] for name, row in values.items()}
        path.write_text(json.dumps({"joints": JOINTS, "actuators": finite, **(details or {})}, indent=2))

    @classmethod
    def load(cls, path: Path) -> "Actuators":
        """Read what ``reachy-kit sysid`` identified.

        Raises:
            RefusedError: the file does not hold identified actuators.
        """
        try:
            stored = json.loads(path.read_text())
            if tuple(stored["joints"]) != JOINTS:
                raise ValueError("its joints differ from ours")
            table = {
                name: np.array([np.inf if v is None else v for v in row], dtype=np.float64)
                for name, row in stored["actuators"].items()
            }
            return cls(**table)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RefusedError(
                f"{path} does not hold identified actuators ({error}). Identify the robot: "
                + compose_command("sysid", robot="HOST", out=path.parent)
            ) from error


IDENTIFIED = Actuators(
    bandwidth=np.array([6.7, 6.9, 7.2, 6.4, 6.3, 6.8, 7.5, 14.0, 14.0]),
    damping=np.array([0.59, 1.34, 1.33, 1.32, 1.20, 1.25, 1.27, 1.16, 1.16]),
    backlash=np.array([0.008, 0.043, 0.041, 0.019, 0.022, 0.045, 0.046, 0.005, 0.005]),
)
"""The shipped physics as identified for the kinematic tier; the model's dry friction appears as play.
The gain, 0.97 to 1.01, is taken as 1.

Source: reachy-kit sysid --robot sim --delay 0.03, on reachy_mini 1.12's model. 7 to 11 mrad of the legs' motion of 80
remain unexplained, 2.3 of the body's 128, 2.2 of the antennas' 194 (root mean squares).
"""
_NO_LAG = 1e-3
"""Period too short to show at 50 Hz, s."""


class Motors:
    """The nine motors of N robots, stepped a control tick at a time.

    Args:
        count: N robots.
        hz: ticks per second.
    """

    def __init__(self, count: int, hz: float = CONTROL_HZ) -> None:
        shape = (count, len(JOINTS))
        self._tick = 1 / hz
        self._slots = int(np.ceil(MAX_DELAY * hz)) + 2
        self._commands = np.zeros((self._slots, *shape))
        self._newest = 0
        self._late = np.zeros(shape, dtype=np.int64)
        self._first, self._second = np.zeros((4, *shape)), np.zeros((4, *shape))
        self._less, self._rate, self._play = np.zeros(shape), np.full(shape, np.inf), np.zeros(shape)
        self._engaged: Array = np.zeros(shape)
        self.position: Array = np.zeros(shape)
        self.velocity: Array = np.zeros(shape)
        self._rows, self._columns = np.indices(shape)
        self._uniform: int | None = 0
        self._weak = self._loose = self._limited = False

    def reset(self, ids: Ids, actuators: Actuators, position: Array) -> None:
        """Place the motors of robots ``ids`` at (K, 9) rad, at rest, held there by all remembered commands."""
        table = actuators.table(len(ids))
        ticks = table["delay"] / self._tick
        whole = np.floor(ticks + 1e-9)
        late = np.clip(ticks - whole, 0.0, 1.0) * self._tick
        self._late[ids] = whole.astype(np.int64)
        self._first[:, ids] = _response(table["bandwidth"], table["damping"], late)
        self._second[:, ids] = _response(table["bandwidth"], table["damping"], self._tick - late)
        self._less[ids], self._play[ids] = table["gain"] - 1, table["backlash"] / 2
        self._rate[ids] = table["rate_limit"]
        # The position is the command scaled by the gain, so that the start is exact whatever the motor.
        command = _REST + (position - _REST) / table["gain"]
        self._commands[:, ids] = command
        self._engaged = self._engaged.copy()  # it may be a view of the commands
        self._engaged[ids] = command + self._less[ids] * (command - _REST)
        self.position[ids] = position
        self.velocity[ids] = 0.0
        # An effect that no motor of the batch has is not computed.
        first = int(self._late[0, 0])
        self._uniform = first if (self._late == first).all() else None
        self._weak, self._loose = bool(self._less.any()), bool((self._play > 0).any())
        self._limited = bool(np.isfinite(self._rate).any())

    def commands(self, ids: Ids) -> Array:
        """Latest targets of robots ``ids``, (K, 9) rad."""
        return np.asarray(self._commands[self._newest, ids])

    def step(self, targets: Array) -> Array:
        """Joint positions (N, 9) rad a tick after the (N, 9) rad of targets were sent."""
        self._newest = (self._newest + 1) % self._slots
        self._commands[self._newest] = targets
        start, speed = self.position, self.velocity
        position = start
        # The command of the tick before, then the one that arrives meanwhile.
        for goal, (xx, xv, vx, vv) in ((self._engaged, self._first), (self._goal(), self._second)):
            off = position - goal
            position = xx * off
            position += xv * speed
            position += goal
            off *= vx
            off += vv * speed
            speed = off
        if self._limited:
            most = self._rate * self._tick
            held = np.minimum(np.maximum(position, start - most), start + most)
            speed = np.where(held == position, speed, np.clip(speed, -self._rate, self._rate))
            position = held
        self.position, self.velocity = position, speed
        return position

    def _goal(self) -> Array:
        """Goal (N, 9) rad of the motors, for the command that arrives now."""
        if self._uniform is not None:
            command = self._commands[(self._newest - self._uniform) % self._slots]
        else:
            command = self._commands[(self._newest - self._late) % self._slots, self._rows, self._columns]
        goal: Array = command + self._less * (command - _REST) if self._weak else command
        if not self._loose:
            self._engaged = goal
            return goal
        engaged: Array = np.minimum(np.maximum(self._engaged, goal - self._play), goal + self._play)
        self._engaged = engaged
        return engaged


def _response(bandwidth: Array, damping: Array, seconds: Array) -> Array:
    """Exact transition of a second-order system over a time: offset and speed to offset and speed.

    Args:
        bandwidth: (N, 9) Hz; infinite responds at once.
        damping: (N, 9) damping ratio.
        seconds: (N, 9) s.

    Returns:
        (4, N, 9): offset→offset, speed→offset, offset→speed, speed→speed.
    """
    instant = np.isinf(bandwidth)
    omega = 2 * np.pi * np.where(instant, 1.0, bandwidth)
    root = np.sqrt(np.asarray(damping**2 - 1, dtype=np.complex128)) * omega
    still = np.abs(root) < 1e-9
    even = np.cosh(root * seconds).real
    odd = np.where(still, seconds, (np.sinh(root * seconds) / np.where(still, 1.0, root)).real)
    fade = np.exp(-damping * omega * seconds)
    carried = np.stack(
        [
            fade * (even + damping * omega * odd),
            fade * odd,
            -fade * omega**2 * odd,
            fade * (even - damping * omega * odd),
        ]
    )
    # Over a time of zero nothing changes, even where the response is infinitely quick.
    return np.asarray(np.where(instant & (seconds > 0), 0.0, carried))


def in_series(wanted: Actuators, own: Actuators) -> Actuators:
    """Actuators to put before a robot's own motors, so that both in series respond as wanted.

    Periods of responses in series nearly add up; a robot cannot be made quicker than its own motors. The delay then
    compensates for how far slow motion trails, which is the delay plus ``damping / (π bandwidth)``. Play that the
    motors have anyway is not added. Where the wanted bandwidth is infinite, the response and the delay stay as they
    are.

    Args:
        wanted: the response of both: (N, 9), (N, 1) or scalars.
        own: the robot's own motors, without their delay.
    """
    period, own_period = 1 / np.asarray(wanted.bandwidth), 1 / np.asarray(own.bandwidth)
    before = np.where(period > 0, np.maximum(period - own_period, 0.0), 0.0)
    before = np.where(before > _NO_LAG, before, 0.0)
    trail = (wanted.damping * (period - before) - own.damping * own_period) / np.pi
    # The position of the first motors at the end of a tick is passed on at its beginning.
    trail = trail + np.where(before > 0, TICK / 2, 0.0)
    return replace(
        wanted,
        delay=np.clip(wanted.delay + np.where(period > 0, trail, 0.0), 0.0, MAX_DELAY),
        bandwidth=np.where(before > 0, 1 / np.where(before > 0, before, 1.0), np.inf),
        backlash=np.maximum(wanted.backlash - np.asarray(own.backlash), 0.0),
    )
