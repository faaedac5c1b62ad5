"""What a teleoperator is, and their registry.

A teleoperator is a policy with a device behind it: the same rollout runs it. A device of this kit is a file
``NAME_device.py`` beside this one. Another package adds one with an entry point of the group
``reachy_kit.teleoperators`` that has the device's name and leads to its ``open_device``. Names are found without
loading anything. ``--teleop NAME`` or ``--teleop NAME:ARGUMENT`` chooses one, as in ``--teleop move:wave.json``.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from reachy_kit.runtime import teleop
from reachy_kit.runtime.errors import KitError, WrongUseError
from reachy_kit.runtime.interface import Action, Episode, Observation, Policy, Robot, Step, TaskSpec
from reachy_kit.runtime.interrupts import interrupts_held_back
from reachy_kit.runtime.registries.kind_registry import installed, own_stems

ENTRY_POINTS = "reachy_kit.teleoperators"


class TakeEvent(StrEnum):
    """What a person wants of the recording, by a key, a button or a page."""

    START = "start"
    """Begin a take."""
    STOP = "stop"
    """End the take and keep it."""
    SUCCESS = "success"
    """The same, marked as a success."""
    FAILURE = "failure"
    """The same, marked as a failure."""
    REDO = "redo"
    """Discard the take in progress, or the last one, and run it again from the same seed."""
    DISCARD = "discard"
    """Discard the take in progress."""
    NEXT_TASK = "next task"
    """Take the next of the instructions for the takes that follow."""
    TAKE_OVER = "take over"
    """Drive instead of the policy, or hand back to it."""
    STOP_NOW = "stop now"
    """Discard the take in progress, and end the session."""


class Teleoperator(Policy, Protocol):
    """A device that drives the robot. Its targets are absolute, and begin where the robot is."""

    name: str
    controls: tuple[tuple[str, str], ...]
    """Its own keys, buttons or gestures, and what each does; the screen shows them. Empty where there are none."""

    @property
    def lost(self) -> str | None:
        """Why the device cannot drive now, as when it was unplugged; None while it can. The take then pauses."""
        ...

    def connect(self, robot: Robot) -> None:
        """Open the device.

        Args:
            robot: connected; the one to drive.

        Raises:
            KitError: the device does not exist or cannot be used.
        """
        ...

    def disconnect(self) -> None:
        """Close the device. Safe to call twice, and after a failure."""
        ...

    def reset(self) -> None:
        """Begin a take: the first target is where the robot stands."""
        ...

    def act(self, observation: Observation) -> Action:
        """The (9,) target to reach by the next decision. An idle device holds the action in force."""
        ...

    def events(self) -> Sequence[TakeEvent]:
        """Events from the device's own buttons since the last call, in a take and between takes.

        A device without a person, such as a recorded move, starts and stops its takes with these.
        """
        ...


@runtime_checkable
class GuidingTeleoperator(Protocol):
    """What a teleoperator has beside the rest where a person moves the robot itself: its motion is the action."""

    @property
    def motion_delay(self) -> float:
        """Time by which the robot's motion lags behind its commands, s: what the recorder compensates."""
        ...

    def end_take(self) -> None:
        """Let the robot hold itself again. Called after each take, however it ended; safe to call twice."""
        ...


@runtime_checkable
class PlayingTeleoperator(Protocol):
    """What a teleoperator has beside the rest where it plays a list, an entry for each episode."""

    def prepare_take(self, stored: int) -> None:
        """Be ready to start a take. Called before each one, whatever became of the take before.

        Args:
            stored: episodes of the dataset: a take that was not kept or was taken back is played again.
        """
        ...


@contextmanager
def guided_take(teleoperator: Teleoperator) -> Iterator[float | None]:
    """A take in which a person may move the robot itself; at the end of the block the robot holds itself again.

    Args:
        teleoperator: connected.

    Yields:
        The delay of the motion that is the action, s, for the recorder's ``motion_delay``; None where the device's
        targets are the actions.
    """
    if not isinstance(teleoperator, GuidingTeleoperator):
        yield None
        return
    try:
        yield teleoperator.motion_delay
    finally:
        with interrupts_held_back():
            teleoperator.end_take()


class HoldingAtEnd:
    """A rollout's subscriber that lets the robot hold itself at the end of a take: before the recorder, which saves.

    Args:
        teleoperator: with which a person moves the robot itself.
        on_held: called once the robot holds itself.
    """

    def __init__(self, teleoperator: GuidingTeleoperator, on_held: Callable[[], None] = lambda: None) -> None:
        self._teleoperator, self._on_held = teleoperator, on_held

    def on_episode_start(self, seed: int) -> None:
        """Do nothing."""

    def on_step(self, step: Step) -> None:
        """Do nothing."""

    def on_episode_end(self, episode: Episode) -> None:
        """Let the robot hold itself. Where it does not, the take is saved, and ``guided_take`` tries again."""
        with interrupts_held_back(), suppress(KitError):
            self._teleoperator.end_take()
        self._on_held()


class Keys(Protocol):
    """Keys pressed on the terminal. The recording screen takes those that it knows; a device gets the others."""

    def pressed(self) -> Sequence[str]:
        """Keys since the last call, such as ``w``, ``up``, ``escape``. A terminal sends no releases."""
        ...


@dataclass(frozen=True)
class TeleopContext:
    """What a device may need. The workflow fills it, so that a device imports no layer above its own."""

    argument: str
    """The text behind ``NAME:``; empty if there is none."""
    policy_hz: int
    """Decisions per second."""
    task: TaskSpec | None = None
    keys: Keys | None = None
    """The terminal's keys; None without a terminal."""
    expert: Callable[[], Policy] | None = None
    """Opens the task's scripted expert; None where there is none."""


type OpenDevice = Callable[[TeleopContext], Teleoperator]


def teleoperator_names() -> tuple[str, ...]:
    """Names of all devices: this kit's, then those of installed packages."""
    return tuple(dict.fromkeys((*own_stems(teleop, "device"), *sorted(installed(ENTRY_POINTS)))))


def open_teleoperator(name: str, context: TeleopContext) -> Teleoperator:
    """The device of a name, not yet connected.

    Args:
        name: one of ``teleoperator_names``.
        context: what it may need.

    Raises:
        WrongUseError: there is none of that name, or it cannot be loaded.
    """
    return _opener(name)(context)


def runs_on_robot(name: str) -> bool:
    """Whether a device belongs to the robot's own computer: its module says ``ON_ROBOT = True``.

    Others, such as a keyboard, are the desktop's, and `record --on-robot` sends their targets.

    Raises:
        WrongUseError: there is none of that name, or it cannot be loaded.
    """
    return bool(getattr(sys.modules.get(_opener(name).__module__), "ON_ROBOT", False))


def split_argument(teleop_option: str) -> tuple[str, str]:
    """Name and argument in ``NAME[:ARGUMENT]``."""
    name, _, argument = teleop_option.partition(":")
    return name, argument


def _opener(name: str) -> OpenDevice:
    if name in own_stems(teleop, "device"):
        opener: OpenDevice = importlib.import_module(f"{teleop.__name__}.{name}_device").open_device
        return opener
    entry = installed(ENTRY_POINTS).get(name)
    if entry is None:
        raise WrongUseError(f"--teleop {name} does not exist; there are {', '.join(teleoperator_names())}")
    try:
        loaded: OpenDevice = entry.load()
    except (Exception, SystemExit) as error:  # code of another package
        raise WrongUseError(f"the teleoperator {name} cannot be loaded from {entry.value}: {error!r}") from error
    return loaded
