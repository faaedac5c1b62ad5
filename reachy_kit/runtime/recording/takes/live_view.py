"""What the screen of a session shows: the loop writes these values, a screen reads them whenever it draws."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from reachy_kit.runtime.interface import NEUTRAL, Action, Array, Episode, Step, TaskError, Tick
from reachy_kit.runtime.robots.speaking.tones import Cue


class Phase(StrEnum):
    """What happens at this moment."""

    PREPARING = "preparing"
    READY = "ready"
    """The robot stands at its start pose and waits for the person."""
    RECORDING = "recording"
    PAUSED = "paused"
    """The device is lost; the robot holds, and nothing is recorded."""
    SAVING = "saving"
    DRIVING = "driving"
    """The person drives, and nothing is recorded."""


@dataclass
class LiveView:
    """State of a session. Written by the control loop, read by a screen's own thread."""

    device: str
    """Name of the device."""
    robot: str
    hz: int
    """Decisions per second, as declared."""
    controls: tuple[tuple[str, str], ...] = ()
    """Keys or buttons of the device, and what each does."""
    session_controls: tuple[tuple[str, str], ...] = ()
    """The session's keys."""
    phase: Phase = Phase.PREPARING
    reason: str = ""
    """Why it is paused, or what is being prepared."""
    episodes: int = 0
    """Episodes in the dataset."""
    wanted: int | None = None
    """Episodes that the dataset holds in the end; None where nothing is recorded."""
    instruction: str = ""
    """The task of the next take, or of the one in progress, in words."""
    instructions: int = 1
    """Number of instructions to choose from."""
    operator: str = ""
    error: TaskError | None = None
    """Name and unit of the task's error; None where it is not known."""
    features: tuple[str, ...] = ()
    """Names of ``environment_state``."""
    seconds: float = 0.0
    """Time since the take began on the robot's clock, without pauses, s."""
    decisions: int = 0
    """Decisions of the take."""
    state: Array = field(default_factory=NEUTRAL.copy)
    """(9,) measured."""
    action: Action = field(default_factory=NEUTRAL.copy)
    """(9,) in force."""
    environment_state: Array | None = None
    """(K,) the latest features."""
    task_error: float | None = None
    """Of the latest step, in the unit that ``error`` scales."""
    last: str = ""
    """What became of the last take."""
    messages: list[str] = field(default_factory=list)
    """Everything that was said, in order."""

    @property
    def measured_hz(self) -> float | None:
        """Decisions per second on the robot's clock in this take; None before the second one."""
        return self.decisions / self.seconds if self.decisions and self.seconds > 0 else None

    @property
    def dropped(self) -> int:
        """Decisions of this take that the declared rate has room for and that did not happen."""
        return max(0, round(self.seconds * self.hz) - self.decisions)

    def say(self, text: str) -> None:
        """Show a line about the last take."""
        self.last = text
        self.messages.append(text)

    def follow(self, tick: Tick) -> None:
        """Show a control tick."""
        self.state, self.action = tick.observation.state, tick.action
        self.environment_state = tick.observation.environment_state

    def on_episode_start(self, seed: int) -> None:
        """Begin to count."""
        self.decisions, self.seconds = 0, 0.0

    def on_step(self, step: Step) -> None:
        """Count a decision."""
        self.decisions += 1
        self.seconds += step.next_observation.capture_time - step.observation.capture_time
        self.task_error = step.truth.task_error if step.truth else None

    def on_episode_end(self, episode: Episode) -> None:
        """Show that the take is being saved."""
        self.phase = Phase.SAVING


class SessionScreen(Protocol):
    """Shows a session to the person who drives."""

    def open(self, view: LiveView) -> AbstractContextManager[None]:
        """Show a view, as it changes, while the context is open."""
        ...

    def signal(self, cue: Cue) -> None:
        """Make a sound: a take begins or ends."""
        ...


class NoScreen:
    """A screen that shows nothing."""

    @contextlib.contextmanager
    def open(self, view: LiveView) -> Iterator[None]:
        """Show nothing."""
        yield

    def signal(self, cue: Cue) -> None:
        """Make no sound."""


NO_SCREEN: SessionScreen = NoScreen()
