"""A recorded move as a device: it is played at its own rate, whatever the policy's.

Each episode of a dataset is the next move of a library; a take that is not kept is played again. The robot glides to
the first pose, plays, and ends the take.
Try it: reachy-kit record --teleop move:wave.json --out data/wave
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reachy_kit.runtime.behaviours.recorded_move import RecordedMove, read_moves
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import ANGLE_AXES, POSITION_AXES, Action, Array, Observation, Robot
from reachy_kit.runtime.teleop.teleoperator import TakeEvent, TeleopContext

_GLIDE_SPEEDS = 0.05, 0.8
"""Mean speeds with which the robot goes to the first pose, m/s and rad/s: a third of what the limiter permits."""
_GLIDE_LEAST = 0.4
"""Shortest glide, s."""
ON_ROBOT = True
"""`record --on-robot` plays moves there: they are files, and a Wi-Fi that drops out does not disturb them."""
_AFTER = 0.3
"""Time for which the last pose is held, s: a robot arrives later than its target."""


class MoveTeleoperator:
    """A device that plays moves, one for each episode, and begins again after the last.

    Args:
        moves: to play, at least one.
    """

    name = "move"
    controls: tuple[tuple[str, str], ...] = ()
    lost: str | None = None

    def __init__(self, moves: Sequence[RecordedMove]) -> None:
        self._moves = moves
        self._move = moves[0]
        self._start: tuple[float, Action] | None = None
        self._in_take, self._ended = False, False

    def connect(self, robot: Robot) -> None:
        """Do nothing: the moves are in memory."""

    def disconnect(self) -> None:
        """Do nothing."""

    def prepare_take(self, stored: int) -> None:
        """Choose the move of the next episode, and be ready to start it.

        Args:
            stored: episodes of the dataset.
        """
        self._move, self._in_take = self._moves[stored % len(self._moves)], False

    def reset(self) -> None:
        """Begin the move."""
        self._start, self._in_take, self._ended = None, True, False

    def act(self, observation: Observation) -> Action:
        """The (9,) target of this instant: on the way to the first pose, then the move's."""
        if self._start is None:
            self._start = observation.capture_time, observation.action_in_force.copy()
        began, at_first = self._start
        glide = _glide_seconds(at_first, self._move.poses[0])
        since = observation.capture_time - began
        self._ended = since >= glide + self._move.seconds + _AFTER
        if since >= glide:
            return self._move.pose(since - glide)
        share = since / glide
        return np.asarray(at_first + (3 - 2 * share) * share**2 * (self._move.poses[0] - at_first))  # smoothstep

    def events(self) -> Sequence[TakeEvent]:
        """The start of a take when none is in progress, and its end once the move has ended."""
        if not self._in_take:
            return (TakeEvent.START,)
        self._in_take = not self._ended
        return (TakeEvent.STOP,) if self._ended else ()


def open_device(context: TeleopContext) -> MoveTeleoperator:
    """The move or the library that the argument names.

    Raises:
        WrongUseError: it does not exist, or is something else.
        RefusedError: a move is damaged.
    """
    if not context.argument:
        raise WrongUseError("--teleop move needs a recorded move or a folder of them, as in --teleop move:wave.json")
    return MoveTeleoperator(read_moves(Path(context.argument)))


def _glide_seconds(start: Array, end: Array) -> float:
    """Length of the way to a pose, s."""
    way = np.abs(end - start)
    metres, radians = _GLIDE_SPEEDS
    return max(_GLIDE_LEAST, float(way[POSITION_AXES].max()) / metres, float(way[ANGLE_AXES].max()) / radians)
