"""The connection to a robot through the SDK: what it measures, with the time of arrival, and limited commands.

``SdkLink.command`` is the only place that calls a motion method of the SDK, and every target passes ``safety.limit``
there (tests/integration/test_link.py). A connection that has died, as after a restart of the daemon, is replaced.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from reachy_kit.runtime.errors import NoRobotError
from reachy_kit.runtime.geometry import pose_from_vector
from reachy_kit.runtime.interface import ANTENNAS, BODY_YAW, CONTROL_HZ, NEUTRAL, Action, Array
from reachy_kit.runtime.robots.daemon import RUNNING, DaemonAddress, daemon_status, lost_robot
from reachy_kit.runtime.robots.link.measured_pose import measured_pose
from reachy_kit.runtime.robots.link.sdk_socket import RoundTrips, abort
from reachy_kit.runtime.robots.media.sdk_client import close_client
from reachy_kit.runtime.safety import RESTING, Limited, LimitsProfile, Motion, limit

UNSURE = 0.06
"""Age of the latest measurement, and of a ping without an answer, from which on nothing is sent, s.

What is sent into a stall may reach the robot later, all at once: at most four targets, a motion of 0.24 rad.
In the physics of the daemon's simulation a head at rest that is commanded 0.3 rad away turns at 3.2 rad/s at most.
"""
STALLED = 0.1
"""The same age from which on the robot waits until measurements and answers are there again, s."""
GIVE_UP = 10.0
"""Longest wait for that, s; then the robot is lost. A restart of the simulated daemon takes about one."""
_ONCE_LOST = 1.0
"""Longest wait for a robot that has been given up before, s: to lie down it may be back."""
_FRESH = 0.04
"""Age of a measurement after which another was due, s: two periods of the daemon."""
_SILENT = 0.5
"""Age from which on the daemon is asked whether it runs, s: then this connection may be the one that is dead."""
_POLL = 0.02
_ASKED_EVERY = 0.2
_ANSWER_WITHIN = 0.5
_STATES_WITHIN = 1.0
"""Longest wait for the first measurements over a new connection, s."""
_NEXT_WITHIN = 0.5
"""Longest wait for the next measurement while measurements arrive, s."""
_OFF_WITHIN = 5.0
"""Longest wait for the answer that the motors are off, s: stalls of a busy computer or a bad network pass."""
_STILL_FOR, _STILL_WITHIN = 3, 0.4
"""Measurements in a row that show a robot at rest, and the longest wait for them, s: queued targets arrive first."""
_STILL: Array = np.array([0.002, 0.002, 0.002, *[0.01] * 6])
"""Change from one measurement to the next that counts as rest, m and rad."""
_THERE: Array = np.array([0.01, 0.01, 0.01, *[0.1] * 4, 0.2, 0.2])
"""Deviation from the command with which a robot is where it was commanded, m and rad: weight, friction and backlash."""
_HEAD_AND_BODY = slice(0, BODY_YAW + 1)


class SdkLink:
    """The connection to one robot.

    Args:
        sdk: the SDK's robot, connected.
        address: of its daemon.
    """

    def __init__(self, sdk: Any, address: DaemonAddress) -> None:
        self.sdk = sdk
        self._address = address
        self._last_arrival = time.monotonic()
        self._round_trips = RoundTrips(sdk.client)
        self.arrivals = 0
        """Measurements that have arrived; several at once count as one."""
        self.motion = Motion.at_rest(NEUTRAL)
        """Motion that is commanded."""
        self._before, self._tick_ends = self.motion, 0.0
        self.limited = Limited(0)
        """Limits that changed the last target."""
        self._broken = self._was_lost = False
        self.is_reported_lost = False
        """Whether an error has said that the robot is lost, since measurements arrived last."""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def last_arrival(self) -> float:
        """Time at which the latest measurement arrived, s on the monotonic clock; the SDK itself keeps no times."""
        return self._last_arrival

    @property
    def age(self) -> float:
        """Time since the latest measurement arrived, s."""
        return time.monotonic() - self._last_arrival

    @property
    def is_sure(self) -> bool:
        """Whether what is sent now arrives now, as far as measurements and answers tell."""
        return not self._broken and self._silence <= UNSURE

    @property
    def has_stalled(self) -> bool:
        """Whether the robot has sent nothing for too long, or has not answered what was sent."""
        return self._broken or self._silence > STALLED

    @property
    def _silence(self) -> float:
        """For how long the robot has been silent, in either way, s."""
        return max(self.age, self._round_trips.age)

    @property
    def _flows(self) -> bool:
        """Whether measurements arrive, and what was sent has arrived."""
        return not self._broken and self.age <= _FRESH and self._round_trips.age == 0.0

    def measured(self) -> Array:
        """(9,) the latest measurement."""
        return measured_pose(self.sdk)

    def joints(self) -> Array:
        """(9,) rad of the motors, measured last: body, legs, antennas."""
        return np.concatenate(self.sdk.get_current_joint_positions())

    def command(self, target: Action, state: Array | None = None, profile: LimitsProfile = RESTING) -> Action:
        """Limit a (9,) target and send it as one message; a connection that breaks here shows in ``has_stalled``.

        Several targets in one tick replace each other: however often a program asks, the robot moves no faster.

        Args:
            target: (9,) wanted.
            state: (9,) measured; None to take the latest.
            profile: the limits.

        Returns:
            (9,) what was sent.
        """
        now = time.monotonic()
        if self.is_sure:
            self._was_lost = self.is_reported_lost = False
        if now >= self._tick_ends:
            self._before, self._tick_ends = self.motion, now + 1 / CONTROL_HZ
        self.motion, flags = limit(self.measured() if state is None else state, self._before, target, profile)
        self.limited = Limited(int(flags))
        pose = self.motion.position
        try:
            self.sdk.set_target(
                head=pose_from_vector(pose), antennas=pose[ANTENNAS].tolist(), body_yaw=float(pose[BODY_YAW])
            )
            self._round_trips.ask()
        except _lost_connection():
            self._broken = True
        return pose

    def end_tick(self) -> None:
        """Take the last target as the tick's own; the next one moves on from it."""
        self._tick_ends = 0.0

    def rest_at(self, pose: Array) -> None:
        """Take a (9,) pose as the command in force, at rest, without sending it."""
        self.motion, self.limited = Motion.at_rest(pose), Limited(0)
        self.end_tick()

    def rest(self) -> None:
        """Start from rest: where the robot was commanded to be as far as it is there, elsewhere where it is."""
        measured, commanded = self.measured(), self.motion.position
        there = np.abs(measured - commanded) <= _THERE
        there[_HEAD_AND_BODY] = there[_HEAD_AND_BODY].all()
        self.rest_at(np.where(there, commanded, measured))

    def keep_targets_as_sent(self) -> None:
        """Switch off what the daemon adds to targets: automatic body yaw, head tracking, speech wobble."""
        self.sdk.set_automatic_body_yaw(False)
        self.sdk.stop_head_tracking()
        self.sdk.disable_wobbling()

    def wait_for_measurements(self, note: Callable[[str], None]) -> bool:
        """Wait through a stall, then until the robot stands still; over a new connection if the old one is dead.

        What was sent before has then arrived, or never will.

        Args:
            note: shows a line for people, if the stall is not over within half a second.

        Returns:
            Whether the connection is a new one: its daemon may be another process with settings of its own.

        Raises:
            NoRobotError: the stall lasts for too long.
        """
        patience, ask, renewed, noted = _ONCE_LOST if self._was_lost else GIVE_UP, 0.0, False, False
        give_up = time.monotonic() + patience
        while not self._flows:
            one_way = not self._broken and self.age < self._round_trips.age / 2
            if time.monotonic() > give_up:
                self._was_lost = True
                what = "measures, but has not answered" if one_way else "has sent no measurement"
                raise self.lost(f"it {what} for {patience:.0f} s")
            if (self._broken or self._silence > _SILENT) and time.monotonic() > ask:
                renewed |= self._daemon_runs() and self._renew()
                ask = time.monotonic() + _ASKED_EVERY
            if self._silence > _SILENT and not noted:
                noted = True
                what = "does not answer what is sent to it" if one_way else "sends no measurements"
                note(f"{self._address} {what}. Nothing is sent; it is waited for {patience:.0f} s")
            time.sleep(_POLL)
        self._was_lost = self.is_reported_lost = False
        self._wait_until_still()
        if renewed:
            self.rest_at(self.measured())
        else:
            self.rest()
        return renewed

    def wait_for_next(self) -> None:
        """Wait for a measurement that is yet to arrive.

        Raises:
            NoRobotError: none does, or the connection has broken.
        """
        before, until = self.arrivals, time.monotonic() + _NEXT_WITHIN
        while self.arrivals == before:
            self.require_alive()
            if time.monotonic() > until:
                raise self.lost("its measurements stay away")
            time.sleep(_POLL / 10)

    def require_alive(self) -> None:
        """Refuse a connection that has broken: what was commanded may not have been sent.

        Raises:
            NoRobotError: it has.
        """
        if self._broken:
            raise self.lost("the connection has broken")

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Turn the exceptions of a lost connection into ``NoRobotError``."""
        try:
            yield
        except _lost_connection() as error:
            raise self.lost(str(error)) from error

    def lost(self, why: str) -> NoRobotError:
        """The error that says so."""
        self.is_reported_lost = True
        return lost_robot(self._address, why)

    def switch_motors_off(self) -> bool:
        """Switch the motors off, and wait until the daemon has read that, through a stall of seconds too.

        Returns:
            Whether it has. Otherwise they may still be on.
        """
        self.sdk.disable_motors()
        return self._round_trips.has_arrived(_OFF_WITHIN)

    def close(self) -> None:
        """Close the connection. What a stall holds up is dropped: it would reach the robot of a later program."""
        self._closed.set()
        self._thread.join()
        if self.has_stalled:
            abort(self.sdk.client)
        close_client(self.sdk)

    def _listen(self) -> None:
        while not self._closed.is_set():
            arrived = self.sdk.client.joint_position_received
            if arrived.wait(0.1):
                self._last_arrival = time.monotonic()
                self.arrivals += 1
                arrived.clear()

    def _daemon_runs(self) -> bool:
        """Whether the daemon answers and drives its robot, while nothing gets through this connection."""
        status = daemon_status(self._address, timeout=_ANSWER_WITHIN)
        if status is None or status.get("state") != RUNNING:
            return False
        time.sleep(_POLL)  # after a stall, measurements arrive together with this answer
        return not self._flows

    def _renew(self) -> bool:
        """Replace the connection; False if the daemon is not ready for it."""
        old = self.sdk.client
        abort(old)
        try:
            client = type(old)(old.host, old.port)
            client.wait_for_connection(timeout=_STATES_WITHIN)
        except _lost_connection():
            return False
        self.sdk.client, self._round_trips = client, RoundTrips(client)
        self._broken, self._last_arrival = False, time.monotonic()
        return True

    def _wait_until_still(self) -> None:
        """Wait until what was queued has arrived, in both directions, and has been carried out."""
        until = time.monotonic() + _STILL_WITHIN
        before, count, still = self.measured(), self.arrivals, 0
        while still < _STILL_FOR and time.monotonic() < until:
            time.sleep(_POLL)
            if self.arrivals != count:
                now, count = self.measured(), self.arrivals
                still = still + 1 if (np.abs(now - before) <= _STILL).all() else 0
                before = now


def _lost_connection() -> tuple[type[Exception], ...]:
    """Exceptions with which the SDK and its WebSocket say that the connection is gone."""
    from websockets.exceptions import WebSocketException

    return WebSocketException, OSError, TimeoutError
