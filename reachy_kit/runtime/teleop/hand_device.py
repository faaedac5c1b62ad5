"""A hand on the robot's head as a device: a person moves the robot itself, and its measured motion is the action.

Where the robot compensates gravity, it gives way at once. Where it can only switch its motors off, it stands still
until it feels a hand on the head, and only then lets go. After each take it holds itself where it was left.
In the simulator, whose robot cannot be touched, a simulated hand guides the head as the task's expert would, and
begins and ends its takes itself.
Try it: reachy-kit record --task look_at --teleop hand --episodes 10 --out data/by_hand
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ANGLE_AXES, HEAD, POSITION_AXES, Action, Array, Observation, Policy, Robot
from reachy_kit.runtime.robots.guiding.guidable import Guidable, GuidanceMode
from reachy_kit.runtime.teleop.teleoperator import TakeEvent, TeleopContext

ON_ROBOT = True
"""The device is the robot itself: `record --on-robot` runs it there."""
_TOUCH = 0.004, np.deg2rad(2.0)
"""Deviation of the head from where it stood that is a hand's, m and rad."""
_TOUCH_SECONDS = 0.2
"""Time for which it has to last, s: a knock against the table is shorter."""

_TAKE_SECONDS = 6.0
"""Length of a simulated hand's take, s."""


@runtime_checkable
class _SimulatedHand(Protocol):
    """A robot that comes with a hand."""

    def pull(self, pose: Array | None) -> None:
        """Let the hand pull the head towards a (9,) pose; None takes it away."""
        ...


class HandTeleoperator:
    """A device that lets the robot be guided by hand.

    Args:
        policy_hz: decisions per second.
        expert: guides the head where the robot comes with a simulated hand; None where there is none.
    """

    name = "hand"
    controls = (("your hand", "guide the head"),)

    def __init__(self, policy_hz: int, expert: Policy | None = None) -> None:
        self._policy_hz, self._expert = policy_hz, expert
        self._robot: Guidable | None = None
        self._hand: _SimulatedHand | None = None
        self._mode = GuidanceMode.LIMP
        self.reset()
        self._in_take = False

    @property
    def lost(self) -> str | None:
        """None: a hand cannot be unplugged."""
        return None

    @property
    def motion_delay(self) -> float:
        """Time by which the robot's motion lags behind its commands, s."""
        assert self._robot is not None, "connect first"
        return self._robot.response

    def connect(self, robot: Robot) -> None:
        """Find out how the robot can be guided.

        Raises:
            WrongUseError: it cannot.
            RefusedError: its daemon does not switch its motors off.
        """
        if not isinstance(robot, Guidable):
            raise WrongUseError(f"{robot.name} cannot be guided by hand: it does not switch its motors off")
        self._mode = robot.prepare_guiding()
        self._robot = robot
        if isinstance(robot, _SimulatedHand):
            if self._expert is None:
                raise WrongUseError("--teleop hand on a simulated robot needs a task whose expert guides the hand")
            self._hand = robot

    def disconnect(self) -> None:
        """Let the robot hold itself."""
        self.end_take()
        self._robot = self._hand = None

    def reset(self) -> None:
        """Begin a take: the robot stands still, until it gives way."""
        self._stood: Array | None = None
        self._touched = 0
        self._in_take, self._since = True, 0.0
        self._began: float | None = None
        if self._expert:
            self._expert.reset()

    def act(self, observation: Observation) -> Action:
        """The measured (9,) pose while the head is guided; before that the action in force."""
        robot = self._robot
        assert robot is not None, "connect first"
        if self._began is None:
            self._began = observation.capture_time
        self._since = observation.capture_time - self._began
        if self._hand and self._expert:
            self._hand.pull(self._expert.act(observation))
        if robot.guidance is None and self._may_let_go(observation):
            robot.begin_guiding()
        return observation.state if robot.guidance else observation.action_in_force

    def events(self) -> Sequence[TakeEvent]:
        """A simulated hand begins and ends its takes; a person's has no buttons."""
        if self._hand is None:
            return ()
        if not self._in_take:
            return (TakeEvent.START,)
        return (TakeEvent.STOP,) if self._since >= _TAKE_SECONDS else ()

    def end_take(self) -> None:
        """Let the robot hold itself where it was left."""
        self._in_take = False
        if self._robot:
            self._robot.end_guiding()
        if self._hand:
            self._hand.pull(None)

    def _may_let_go(self, observation: Observation) -> bool:
        """Whether the head stays up without its motors."""
        if self._mode is GuidanceMode.GRAVITY_COMPENSATION:
            return True
        if self._stood is None:
            self._stood = observation.state.copy()
        off = np.abs(observation.state - self._stood)
        metres, radians = _TOUCH
        head = off[HEAD]
        touched = head[POSITION_AXES].max() > metres or head[ANGLE_AXES].max() > radians
        self._touched = self._touched + 1 if touched else 0
        return self._touched >= _TOUCH_SECONDS * self._policy_hz


def open_device(context: TeleopContext) -> HandTeleoperator:
    """A hand; a simulated one follows the context's expert."""
    return HandTeleoperator(context.policy_hz, context.expert() if context.expert else None)
