"""The arbiter: of several behaviours exactly one drives at each decision.

Try it: reachy-kit run track idle --robot daemon
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reachy_kit.runtime.behaviours.behaviour_kind import BEHAVIOUR_HZ, Behaviour
from reachy_kit.runtime.behaviours.driving.feature_selection import SelectFeatures
from reachy_kit.runtime.behaviours.driving.hand_over import HandOver
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.interface import ACTION_NAMES, Action, Observation

HOLDING = "hold"
"""What drives where no behaviour wants to: the robot stays where it is."""


@dataclass(frozen=True)
class RankedBehaviour:
    """A behaviour among others."""

    name: str
    behaviour: Behaviour
    select: SelectFeatures
    """Takes its features out of an observation."""


@dataclass(frozen=True)
class DriverChange:
    """A behaviour has begun to drive."""

    time: float
    """s on the robot's clock."""
    before: str
    """Name of the one that drove; empty at the start."""
    after: str


class Arbiter:
    """A policy that asks the first of its behaviours that wants to drive, and hands over smoothly.

    Args:
        behaviours: the one with the highest priority first; their names differ.
        hz: decisions per second.
        on_change: called when another one begins to drive.
    """

    def __init__(
        self,
        behaviours: Sequence[RankedBehaviour],
        hz: int = BEHAVIOUR_HZ,
        on_change: Callable[[DriverChange], None] = lambda change: None,
    ) -> None:
        self._behaviours, self._on_change = tuple(behaviours), on_change
        self._stopped: frozenset[str] = frozenset()
        self._stopping = threading.Lock()
        self._driver: Behaviour | None = None
        self._hand_over = HandOver(hz)
        self.driving = ""
        """Name of the behaviour that drives, ``HOLDING`` for none; empty before the first decision."""
        self.decisions: dict[str, int] = {}
        """Decisions that each one has taken, over all episodes."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the behaviours, the highest priority first."""
        return tuple(entry.name for entry in self._behaviours)

    @property
    def stopped(self) -> frozenset[str]:
        """Names of the behaviours that may not drive."""
        return self._stopped

    @property
    def overdue(self) -> float:
        """Time for which the loop has waited for a plan of the one that drives, s; 0 for one that decides at once."""
        return float(getattr(self._driver, "overdue", 0.0))

    @property
    def is_planned(self) -> bool:
        """Whether the one that drives has made its first plan; True for one that decides at once."""
        return bool(getattr(self._driver, "is_planned", True))

    @property
    def decision_age(self) -> float | None:
        """Age of what the one that drives has decided on, s; None for one that decides in the loop."""
        age: float | None = getattr(self._driver, "decision_age", None)
        return age

    def stop(self, name: str) -> None:
        """Let a behaviour not drive from the next decision on. Any thread may call this."""
        with self._stopping:
            self._stopped |= {name}

    def allow(self, name: str) -> None:
        """Let a stopped behaviour drive again. Any thread may call this."""
        with self._stopping:
            self._stopped -= {name}

    def reset(self) -> None:
        """Forget the episode before; what is stopped stays stopped, and the decisions are counted on."""
        for entry in self._behaviours:
            entry.behaviour.reset()
        self._hand_over.reset()
        self.driving, self._driver = "", None

    def act(self, observation: Observation) -> Action:
        """The (9,) target of the one that drives.

        Raises:
            RefusedError: it returned something that is not nine finite numbers.
        """
        sensed = [replace(observation, environment_state=entry.select(observation)) for entry in self._behaviours]
        wants = [entry.behaviour.wants_to_drive(part) for entry, part in zip(self._behaviours, sensed, strict=True)]
        stopped = self._stopped  # one value for the whole decision, whatever another thread does
        chosen = next((i for i, entry in enumerate(self._behaviours) if wants[i] and entry.name not in stopped), None)
        driver = None if chosen is None else self._behaviours[chosen]
        name = driver.name if driver else HOLDING
        if name != self.driving:
            self._change_to(name, driver.behaviour if driver else None, observation)
            if driver and chosen is not None:
                driver.behaviour.start(sensed[chosen], self._hand_over.speed(observation.action_in_force))
        self.decisions[name] = self.decisions.get(name, 0) + 1
        wanted = self._held
        if driver and chosen is not None:
            wanted = _checked(name, driver.behaviour.act(sensed[chosen]))
        return self._hand_over.target(wanted, observation.action_in_force)

    def _change_to(self, name: str, behaviour: Behaviour | None, observation: Observation) -> None:
        change = DriverChange(observation.capture_time, self.driving, name)
        self.driving, self._driver = name, behaviour
        self._held = observation.action_in_force.copy()
        if behaviour and behaviour.carries_on:
            self._hand_over.skip()
        else:
            self._hand_over.begin()
        self._on_change(change)


def _checked(name: str, action: Action) -> Action:
    """Refuse what the loop would refuse, but say whose it is."""
    values = np.asarray(action, dtype=np.float64)
    if values.shape != (len(ACTION_NAMES),) or not np.isfinite(values).all():
        raise RefusedError(f"the behaviour {name} did not return nine finite numbers; the robot was stopped")
    return values
