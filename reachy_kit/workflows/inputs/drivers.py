"""What drives a robot: a bundle, a behaviour, or several of them, the one with the highest priority first.

All that can be wrong with them is found before the robot moves.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reachy_kit.runtime.behaviours.behaviour_kind import BEHAVIOUR_HZ, Behaviour, BehaviourContext
from reachy_kit.runtime.behaviours.behaviour_registry import behaviour_by_name, behaviour_names, is_behaviour
from reachy_kit.runtime.behaviours.driving.arbiter import HOLDING, Arbiter, DriverChange, RankedBehaviour
from reachy_kit.runtime.behaviours.driving.feature_selection import select_features
from reachy_kit.runtime.behaviours.trained_policy import TrainedPolicy
from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.inference.background_policy import BackgroundPolicy, InferenceSummary
from reachy_kit.runtime.inference.bundle import Bundle, read_bundle
from reachy_kit.runtime.inference.onnx_policy import image_size, load_policy
from reachy_kit.runtime.interface import Policy
from reachy_kit.runtime.perception.sound import are_heard
from reachy_kit.runtime.safety import CLASSROOM

if TYPE_CHECKING:
    from reachy_kit.workflows.inputs.session import Session

_KEYS = "123456789"
"""Keys of the behaviours, that of the highest priority first."""
_ANY_WORLD = "look_at"
"""Task whose simulated world surrounds a robot whose behaviours sense nothing."""


@dataclass(frozen=True)
class _Driver:
    """A bundle or a behaviour that was given."""

    text: str
    features: tuple[str, ...]
    """What it senses; empty for nothing, or for images."""
    task: str
    """Task in whose world it has something to sense; empty for any."""
    bundle: Bundle | None = None
    behaviour: Behaviour | None = None

    @property
    def takes_images(self) -> bool:
        """Whether it decides on the camera's images themselves."""
        return self.bundle is not None and image_size(self.bundle) is not None


@dataclass(frozen=True)
class Drivers:
    """What drives, ready to be opened for a session."""

    drivers: tuple[_Driver, ...]
    features: tuple[str, ...] | None
    """Features that the session's perception must yield; None where nothing senses any."""
    hears: bool
    """Whether a microphone is needed beside that perception."""

    @property
    def names(self) -> tuple[str, ...]:
        """What was given, the highest priority first."""
        return tuple(driver.text for driver in self.drivers)

    @property
    def label(self) -> str:
        """What drives, for people."""
        return ", ".join(Path(driver.text).name if driver.bundle else driver.text for driver in self.drivers)

    @property
    def lone_bundle(self) -> Bundle | None:
        """The bundle that drives alone; None where there is a behaviour or more than one bundle."""
        return self.drivers[0].bundle if len(self.drivers) == 1 else None

    @property
    def hz(self) -> int:
        """Decisions per second."""
        bundle = self.lone_bundle
        return bundle.manifest.graphs[0].hz if bundle else BEHAVIOUR_HZ

    @property
    def limits(self) -> str:
        """Name of the limiter's profile."""
        named = [driver.bundle.manifest.limits_profile for driver in self.drivers if driver.bundle]
        return named[0] if named else CLASSROOM.name

    @property
    def task(self) -> str:
        """Task whose simulated world they are in."""
        sensing = [driver.task for driver in self.drivers if driver.features == self.features and driver.task]
        return next(iter([*sensing, *(driver.task for driver in self.drivers if driver.task), _ANY_WORLD]))

    @property
    def takes_images(self) -> bool:
        """Whether one of them decides on the camera's images."""
        return any(driver.takes_images for driver in self.drivers)

    def open(
        self,
        session: "Session",
        when_at_rest: contextlib.ExitStack,
        on_change: Callable[[DriverChange], None] = lambda change: None,
    ) -> "OpenDrivers":
        """Open what drives the session's robot.

        Args:
            session: open.
            when_at_rest: ends the inference beside the loop; it closes after the robot has come to rest.
            on_change: called when another behaviour begins to drive.

        Raises:
            WrongUseError: the session does not sense what one of them needs.
            RefusedError: a bundle was trained on other features, or does not run.
        """
        names, hears = session.perception.names, session.hearing is not None
        planners: list[BackgroundPolicy] = []

        def load(bundle: Bundle, features: tuple[str, ...]) -> Policy:
            policy, hz = load_policy(bundle, features), bundle.manifest.graphs[0].hz
            if not session.wall_clock:
                return policy
            beside = BackgroundPolicy(policy, hz)
            when_at_rest.callback(beside.close)
            planners.append(beside)
            return beside

        if self.lone_bundle:
            return OpenDrivers(load(self.lone_bundle, names), tuple(planners))
        ranked = []
        for driver in self.drivers:
            behaviour = driver.behaviour
            if behaviour is None:
                assert driver.bundle is not None
                hz = driver.bundle.manifest.graphs[0].hz
                policy = load(driver.bundle, driver.features)
                behaviour = TrainedPolicy(policy, driver.features, hz, BEHAVIOUR_HZ)
            select = select_features(driver.features, names, hears=hears)
            ranked.append(RankedBehaviour(driver.text, behaviour, select))
        return OpenDrivers(Arbiter(ranked, BEHAVIOUR_HZ, on_change), tuple(planners))


@dataclass(frozen=True)
class OpenDrivers:
    """What drives a session's robot."""

    policy: Policy
    """A bundle's own, or an ``Arbiter``."""
    planners: tuple[BackgroundPolicy, ...]
    """The bundles that plan beside the loop."""

    def summary(self) -> InferenceSummary | None:
        """How the first bundle's inference kept up; None where none plans beside the loop."""
        return self.planners[0].summary() if self.planners else None

    @property
    def arbiter(self) -> Arbiter | None:
        """Chooses among behaviours; None for a bundle alone."""
        return self.policy if isinstance(self.policy, Arbiter) else None

    def shares(self) -> dict[str, float]:
        """Share of the decisions that each behaviour has taken; empty for a bundle alone."""
        decisions = self.arbiter.decisions if self.arbiter else {}
        return {name: count / sum(decisions.values()) for name, count in decisions.items()}

    @property
    def _by_key(self) -> dict[str, str]:
        """Names of the behaviours by their keys; of fewer than two there is none to choose."""
        names = self.arbiter.names if self.arbiter else ()
        return dict(zip(_KEYS, names, strict=False)) if len(names) > 1 else {}

    def describe_keys(self) -> str:
        """Say which key stops which behaviour; empty where none does."""
        keys = ", ".join(f"{key} {name}" for key, name in self._by_key.items())
        return f"keys that stop one behaviour and let it drive again: {keys}" if keys else ""

    def press(self, key: str) -> str:
        """Stop the behaviour of a key from the next decision on, or let it drive again.

        Returns:
            What has changed, in words; empty for any other key.
        """
        name = self._by_key.get(key)
        if name is None or self.arbiter is None:
            return ""
        if name in self.arbiter.stopped:
            self.arbiter.allow(name)
            return f"{name} may drive again"
        self.arbiter.stop(name)
        return f"{name} is stopped; {key} lets it drive again"


class HandOverCount:
    """Number of hand-overs from one behaviour to another, over all episodes.

    Args:
        names: of the behaviours, the highest priority first.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._ranks = {name: rank for rank, name in enumerate((*names, HOLDING))}
        self.total = 0
        self.on_notice: Callable[[], None] = lambda: None
        """Called where a behaviour takes over from one of lower priority: it has noticed something."""

    def add(self, change: DriverChange) -> None:
        """Count a hand-over."""
        if change.before:
            self.total += 1
            if self._ranks[change.after] < self._ranks[change.before]:
                self.on_notice()


def read_drivers(given: Sequence[str | Path]) -> Drivers:
    """Bundles and behaviours, opened and checked.

    Args:
        given: paths of bundles, and behaviours as ``NAME`` or ``NAME:ARGUMENT``, the highest priority first. A text
            that begins with a behaviour's name is that behaviour: a folder of the same name is ``./NAME``.

    Raises:
        WrongUseError: one of them does not exist, an argument does not fit, or they do not go together.
        RefusedError: a bundle is damaged, or was made for something else.
    """
    if not given:
        raise WrongUseError(f"name what is to drive: a bundle, or a behaviour ({', '.join(behaviour_names())})")
    drivers = tuple(_read_driver(item) for item in given)
    repeated = [driver.text for i, driver in enumerate(drivers) if driver.text in {d.text for d in drivers[:i]}]
    if repeated:
        raise WrongUseError(f"{repeated[0]} is given twice: name it once")
    profiles = {driver.bundle.manifest.limits_profile for driver in drivers if driver.bundle}
    if len(profiles) > 1:
        raise WrongUseError(f"these bundles have different limits ({', '.join(sorted(profiles))}): run them one by one")
    if len(drivers) == 1 and drivers[0].bundle:
        return Drivers(drivers, drivers[0].features or None, hears=False)
    sensed = list(dict.fromkeys(driver.features for driver in drivers if driver.features))
    if not sensed:
        return Drivers(drivers, None, hears=False)
    main = next((features for features in sensed if not are_heard(features)), sensed[0])
    beside = [features for features in sensed if not set(features) <= set(main)]
    deaf = [driver.text for driver in drivers if driver.features in beside and not are_heard(driver.features)]
    if deaf:
        raise WrongUseError(f"{deaf[0]} senses something else than the others: run it by itself")
    return Drivers(drivers, main, hears=bool(beside))


def _read_driver(item: str | Path) -> _Driver:
    if isinstance(item, str) and is_behaviour(item):
        named = behaviour_by_name(item)
        behaviour = named.kind.open(BehaviourContext(named.argument))
        return _Driver(named.text, behaviour.features, named.kind.task, behaviour=behaviour)
    path = Path(item)
    looks_like_name = isinstance(item, str) and "/" not in item and not path.suffix and not path.exists()
    if looks_like_name:
        raise WrongUseError(
            f"{item} is neither a behaviour ({', '.join(behaviour_names())}) nor a bundle, whose file ends in .bundle"
        )
    bundle = read_bundle(path)
    manifest = bundle.manifest
    return _Driver(str(item), tuple(manifest.environment_state), manifest.task, bundle=bundle)
