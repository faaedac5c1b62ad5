"""A kind of behaviour: what it is called, what it needs to sense, and how it is opened.

A behaviour of this kit is a file ``NAME_behaviour.py`` beside this one that holds a ``BehaviourKind`` as ``BEHAVIOUR``;
another package adds one with an entry point of the group ``reachy_kit.behaviours``.

Try it: reachy-kit run track idle --robot daemon
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from reachy_kit.runtime.interface import Action, Array, Observation, Policy

BEHAVIOUR_HZ = 50
"""Decisions per second where behaviours share a robot: one in each tick, so that each can be stopped at once."""


class Behaviour(Policy, Protocol):
    """A policy that says when it wants to drive."""

    features: tuple[str, ...]
    """Names of what its observations' ``environment_state`` holds, in order; empty where it senses nothing."""

    carries_on: bool
    """Whether its first target carries on the robot's motion; otherwise the arbiter eases over to its targets."""

    def reset(self) -> None:
        """Forget the episode before."""
        ...

    def wants_to_drive(self, observation: Observation) -> bool:
        """Whether it has something to do now. Asked exactly once per decision, also while another one drives."""
        ...

    def start(self, observation: Observation, speed: Array) -> None:
        """Begin to drive with this observation: another one, or none, has driven until now.

        Args:
            observation: the one that ``act`` receives next.
            speed: (9,) per s, at which the robot is commanded to move.
        """
        ...

    def act(self, observation: Observation) -> Action:
        """The (9,) target of this decision. Asked only while it drives."""
        ...


@dataclass(frozen=True)
class BehaviourContext:
    """What a behaviour is opened with."""

    argument: str
    """The text after the colon in ``NAME:ARGUMENT``; empty without one."""
    hz: int = BEHAVIOUR_HZ
    """Its decisions per second."""


@dataclass(frozen=True)
class BehaviourKind:
    """A kind of behaviour."""

    summary: str
    """One line for people."""
    open: Callable[[BehaviourContext], Behaviour]
    """Opens it. Raises WrongUseError where the argument does not fit."""
    argument: str = ""
    """The argument as help shows it, such as ``YAW,PITCH``; empty where there is none."""
    task: str = ""
    """Task in whose simulated world it has something to sense; empty where any will do."""
