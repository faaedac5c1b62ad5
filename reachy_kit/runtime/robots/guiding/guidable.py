"""Guiding by hand: what a robot offers so that a person can move its head, and how it does so."""

from enum import StrEnum
from typing import Protocol, runtime_checkable

from reachy_kit.runtime.interface import Robot

RESPONSE = 0.25
"""Time by which an action leads the motion that it stands for, s.

Motors follow within 0.06 to 0.09 s as identified on the daemon's physics (sim/RESULTS.md), but friction holds the head
back until its command is some degrees ahead, and a policy that commands less stands still before the goal. Ten guided
takes of look_at, learned with 0.08, 0.25 and 0.45 s, reached 75, 87 and 62 % of the episodes 2000 to 2059.
Not yet measured on a real robot."""


class GuidanceMode(StrEnum):
    """How the motors give way to a hand."""

    GRAVITY_COMPENSATION = "gravity compensation"
    """The motors carry the head's weight: it stays where the hand leaves it."""
    LIMP = "limp motors"
    """The motors are off: the hand carries the head, which falls without it."""


_GRIPS = {
    None: "the motors hold the head",
    GuidanceMode.GRAVITY_COMPENSATION: "the motors carry the head's weight: guide it",
    GuidanceMode.LIMP: "the motors are off: do not let go of the head",
}


def describe_guidance(guidance: GuidanceMode | None) -> str:
    """What keeps the head up, in words.

    Args:
        guidance: mode in use; None while the motors follow their targets.
    """
    return _GRIPS[guidance]


@runtime_checkable
class Guidable(Robot, Protocol):
    """A robot that gives way to a hand. While it is guided, the action that it applies is its measured pose."""

    guidance: GuidanceMode | None
    """Mode in use; None while the motors follow their targets."""
    response: float
    """Time by which the measured motion lags behind the commanded one, s."""

    def prepare_guiding(self) -> GuidanceMode:
        """Find out how it can be guided, without letting the head go.

        Raises:
            RefusedError: it cannot be guided.
        """
        ...

    def begin_guiding(self) -> None:
        """Let the motors give way. With limp motors a person must hold the head already.

        Raises:
            RefusedError: the motors do not give way.
        """
        ...

    def end_guiding(self) -> None:
        """Hold the head where it is, without a jump. Safe to call twice, and while it is not guided."""
        ...
