"""The simulated task: drawn episodes, sightings, an error, a reward and a success. Numpy over the batch.

A task is a frozen dataclass in a file of its own; the state of an episode is in ``Scenario`` (drawn once) and
``Progress`` (updated at each step), both arrays over the batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.interface import BODY_YAW, NEUTRAL, PITCH, YAW, Array, TaskSpec

type Span = tuple[float, float]
type Bools = npt.NDArray[np.bool_]
type Ids = npt.NDArray[np.int64]

START_SPANS: tuple[Span, ...] = ((-0.45, 0.45), (-0.2, 0.2), (-0.15, 0.15))
"""Ranges of the head's yaw and pitch at the start, and of the body's yaw against the head's, rad."""


class BatchArrays:
    """Arrays over a batch, of which single rows can be replaced."""

    def set_rows(self, ids: Ids, other: Self) -> None:
        """Replace the rows ``ids`` by the rows of another."""
        for field in fields(self):  # type: ignore[arg-type]
            getattr(self, field.name)[ids] = getattr(other, field.name)


@dataclass
class Scenario(BatchArrays):
    """A batch of drawn episodes."""

    start: Array
    """(N, 9) poses from which the robots start."""


class View(NamedTuple):
    """States and head poses of robots at one instant."""

    state: Array
    """(N, 9) state."""
    rotation: Array
    """(N, 3, 3) base ← head."""
    position: Array
    """(N, 3) m, base frame."""


@dataclass
class Progress(BatchArrays):
    """Progress of a batch of episodes. A task that stores more has a subclass of its own."""

    hold_time: Array
    """(N,) s within the tolerance so far, as the task counts them."""
    succeeded: Bools
    """(N,) whether the whole criterion has been met."""
    last: Array
    """(N, 9) state at the evaluation before."""
    speed: Array
    """(N, 9) rate of change of that state, per s."""

    @classmethod
    def begin(cls, state: Array) -> Self:
        """Progress at the start of episodes whose robots stand still at (N, 9)."""
        count = len(state)
        return cls(np.zeros(count), np.zeros(count, dtype=np.bool_), state.copy(), np.zeros_like(state))


class TaskOutcome(NamedTuple):
    """The outcome of one step of a batch."""

    error: Array
    """(N,) rad, the task's error."""
    terms: Mapping[str, Array]
    """Named, weighted reward terms, (N,) each; their sum is the dense reward, 1 at best."""
    just_succeeded: Bools
    """(N,) whether the criterion is met at this very step: the sparse reward."""


@dataclass(frozen=True)
class Task(ABC):
    """A task to succeed in within ``seconds``."""

    spec: TaskSpec
    seconds: float
    """Length of an episode, s."""
    tolerance: float
    """Largest error that counts towards success, rad."""
    hold: float
    """Time within the tolerance that makes a success, s."""
    hold_mode: Literal["continuous", "total"]
    """``total`` adds up all time within the tolerance; ``continuous`` starts again after each lapse."""

    period: ClassVar[float] = 0.0
    """Time between new sightings, s; 0: a new one at every tick."""

    @property
    def name(self) -> str:
        """The task's name."""
        return self.spec.name

    @property
    def instruction(self) -> str:
        """The task in words."""
        return self.spec.instruction

    @property
    def features(self) -> tuple[str, ...]:
        """Names of ``environment_state``."""
        return self.spec.features

    def begin(self, state: Array) -> Progress:
        """The progress of new episodes whose robots stand still at (N, 9)."""
        return Progress.begin(state)

    @property
    def spans(self) -> tuple[Span, ...]:
        """Ranges that an episode draws from, low and high: first the start pose, then the task's own."""
        return (*START_SPANS, *self.own_spans)

    @property
    @abstractmethod
    def own_spans(self) -> tuple[Span, ...]:
        """Ranges that the task draws from besides the start pose."""

    @abstractmethod
    def build(self, start: Array, drawn: Array) -> Scenario:
        """Build a batch of episodes.

        Args:
            start: (N, 9).
            drawn: (N, len(own_spans)) inside ``own_spans``.
        """

    @abstractmethod
    def target(self, scenario: Scenario, time: Array) -> Array:
        """Position of the target, (N, 3) m, base frame, at (N,) s since the episodes began."""

    @abstractmethod
    def shown(self, scenario: Scenario, time: Array) -> Bools:
        """Whether the target can be sensed, (N,)."""

    @abstractmethod
    def sighting(self, scenario: Scenario, time: Array, view: View) -> tuple[Array, Bools]:
        """Measurements of perfect senses: (N, len(features) − 2) values, and (N,) whether there is a sighting."""

    @abstractmethod
    def noisy(self, values: Array, normals: Array, scale: Array) -> Array:
        """Values with the noise of the real senses.

        Args:
            values: (N, K).
            normals: (N, 4) standard normal.
            scale: (N,) multiples of the usual noise.
        """

    @abstractmethod
    def error(self, scenario: Scenario, time: Array, view: View, progress: Progress, elapsed: Array) -> Array:
        """The task's error, (N,) rad; the task may store data in ``progress``."""

    @abstractmethod
    def reward_terms(self, error: Array, view: View, progress: Progress, elapsed: Array) -> dict[str, Array]:
        """Named, weighted reward terms, (N,) each; their sum is 1 at best."""

    def scenario(self, uniforms: Array) -> Scenario:
        """Draw a batch of episodes from (N, len(spans)) numbers in [0, 1)."""
        low, high = np.array(self.spans).T
        drawn = low + (high - low) * uniforms
        start = np.tile(NEUTRAL, (len(drawn), 1))
        start[:, YAW] = drawn[:, 0]
        start[:, PITCH] = drawn[:, 1]
        start[:, BODY_YAW] = drawn[:, 0] + drawn[:, 2]
        return self.build(start, drawn[:, len(START_SPANS) :])

    def evaluate(self, progress: Progress, scenario: Scenario, time: Array, view: View, elapsed: Array) -> TaskOutcome:
        """Evaluate a batch after each step, in order.

        Args:
            progress: changed in place.
            scenario: the drawn episodes.
            time: (N,) s since they began.
            view: where the robots are.
            elapsed: (N,) s since the evaluation before.
        """
        error = self.error(scenario, time, view, progress, elapsed)
        terms = self.reward_terms(error, view, progress, elapsed)
        doing = error <= self.tolerance
        kept = progress.hold_time if self.hold_mode == "total" else np.where(doing, progress.hold_time, 0.0)
        progress.hold_time = kept + np.where(doing, elapsed, 0.0)
        succeeded = progress.hold_time >= self.hold - 1e-9
        just_succeeded = succeeded & ~progress.succeeded
        progress.succeeded = progress.succeeded | succeeded
        progress.speed = rate(view.state, progress.last, elapsed)
        progress.last = view.state
        return TaskOutcome(error, terms, just_succeeded)


def rate(state: Array, last: Array, elapsed: Array) -> Array:
    """Rate of change, (N, 9) per s, from one evaluation to the next; 0 where no time has passed."""
    passed = elapsed > 0
    return np.where(passed[:, None], (state - last) / np.where(passed, elapsed, 1.0)[:, None], 0.0)
