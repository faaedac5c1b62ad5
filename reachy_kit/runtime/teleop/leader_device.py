"""Another Reachy Mini as a device: where the leader is moved, by hand or by a program, the robot follows.

The leader is only watched. The robot glides to the leader's pose at the start of a take, and again after the leader was
lost; then its target is the leader's measured pose, at the speed that the limiter permits.
Try it: reachy-kit teleop leader:sim --robot sim
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from reachy_kit.runtime.errors import NoRobotError, WrongUseError
from reachy_kit.runtime.interface import Action, Array, Observation, Policy, Robot
from reachy_kit.runtime.robots.daemon import parse_address
from reachy_kit.runtime.robots.state_stream import StateStream
from reachy_kit.runtime.teleop.teleoperator import TakeEvent, TeleopContext

_BLEND = 1.0
"""Time in which the robot glides to the leader's pose, s."""
_FIRST_STATE = 5.0
"""Longest wait for the leader's first pose, s."""
_SIMULATED = "sim"


class Leader(Protocol):
    """A robot to follow."""

    def pose(self, observation: Observation) -> Array | None:
        """(9,) where it is now; None while it is lost.

        Args:
            observation: of the robot that follows.
        """
        ...

    def reset(self) -> None:
        """Begin a take."""
        ...

    def stop(self) -> None:
        """Watch it no longer. Safe to call twice."""
        ...


class WatchedLeader:
    """A leader behind a daemon.

    Args:
        name: ``HOST[:PORT]``.

    Raises:
        NoRobotError: it does not answer.
        WrongUseError: the port is not a number.
    """

    def __init__(self, name: str) -> None:
        address = parse_address(name)
        self._stream = StateStream(address)
        if not self._stream.wait_for_first(_FIRST_STATE):
            self._stream.stop()
            raise NoRobotError(f"no Reachy Mini to follow answers at {address}. Is the leader switched on?")

    def pose(self, observation: Observation) -> Array | None:
        """(9,) where it is now; None while it is lost."""
        return self._stream.state

    def reset(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Close the stream."""
        self._stream.stop()


class ScriptedLeader:
    """A simulated leader, which the task's expert moves as a person would.

    Args:
        expert: decides on the observations of the robot that follows.
    """

    def __init__(self, expert: Policy) -> None:
        self._expert = expert

    def pose(self, observation: Observation) -> Array | None:
        """(9,) where the expert moves it."""
        return self._expert.act(observation)

    def reset(self) -> None:
        """Begin a take."""
        self._expert.reset()

    def stop(self) -> None:
        """Do nothing."""


class LeaderTeleoperator:
    """A device that follows a leader.

    Args:
        name_of_leader: for messages.
        open_leader: connects the leader.
    """

    name = "leader"
    controls = (("the leader", "is followed"),)

    def __init__(self, name_of_leader: str, open_leader: Callable[[], Leader]) -> None:
        self._name_of_leader, self._open_leader = name_of_leader, open_leader
        self._leader: Leader | None = None
        self._lost = False
        self._observation: Observation | None = None
        self.reset()

    @property
    def lost(self) -> str | None:
        """Why the leader cannot be followed now; None while it can."""
        if self._lost and self._leader and self._observation:
            self._lost = self._leader.pose(self._observation) is None
        return f"the leader {self._name_of_leader} is lost" if self._lost else None

    def connect(self, robot: Robot) -> None:
        """Connect the leader.

        Raises:
            NoRobotError: it does not answer.
        """
        self._leader = self._open_leader()

    def disconnect(self) -> None:
        """Watch the leader no longer."""
        leader, self._leader = self._leader, None
        if leader:
            leader.stop()

    def reset(self) -> None:
        """Begin a take: the first target is where the robot stands."""
        self._blend: tuple[float, Array] | None = None
        if self._leader:
            self._leader.reset()

    def act(self, observation: Observation) -> Action:
        """The leader's (9,) pose, or a pose on the way there; the action in force while the leader is lost."""
        assert self._leader is not None, "connect first"
        self._observation = observation
        pose = self._leader.pose(observation)
        if pose is None:
            self._lost, self._blend = True, None
            return observation.action_in_force
        if self._blend is None:
            self._blend = observation.capture_time, observation.action_in_force - pose
        began, offset = self._blend
        share = min(1.0, (observation.capture_time - began) / _BLEND)
        return np.asarray(pose + (1 - (3 - 2 * share) * share**2) * offset)  # smoothstep

    def events(self) -> Sequence[TakeEvent]:
        """No events: a leader has no buttons."""
        return ()


def open_device(context: TeleopContext) -> LeaderTeleoperator:
    """The leader that the argument names.

    Raises:
        WrongUseError: there is no argument, or a simulated leader without a task.
    """
    if not context.argument:
        raise WrongUseError("--teleop leader needs a robot to follow, as in --teleop leader:reachy-mini.local")
    if context.argument != _SIMULATED:
        return LeaderTeleoperator(context.argument, lambda: WatchedLeader(context.argument))
    if context.expert is None:
        raise WrongUseError("--teleop leader:sim needs a task of the simulator, whose expert moves the leader")
    expert = context.expert
    return LeaderTeleoperator(_SIMULATED, lambda: ScriptedLeader(expert()))
