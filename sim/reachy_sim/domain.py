"""What may be otherwise than in training: the robot's motors, its senses and what its eye sees.

They are ranges, drawn anew for every episode, each number on its own. A *variant* is a task under conditions of its
own, to examine a policy on; *randomisation* spreads the training itself.
Try it: reachy-kit eval expert --task track --variant hard --episodes 20
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import CONTROL_HZ, Array
from reachy_sim.dynamics.actuators import IDENTIFIED, MAX_DELAY, Actuators
from reachy_sim.sensing.sensing_noise import SensingNoise

if TYPE_CHECKING:
    from reachy_sim.tasks.task import Span, Task

LATENCY = 0.04
"""s from exposure to the policy: one frame at 25 Hz, what the robot's 30 Hz stream and the transfer take at best."""
MAX_LATENCY = 0.28
"""s, the longest that the simulator remembers poses for."""
_ANTENNA = 8
"""Place in ``JOINTS`` of the one that can be loose."""


@dataclass(frozen=True)
class DomainParameters:
    """Ranges, low and high, drawn for every episode."""

    delay: "Span" = (0.03, 0.03)
    """s from command to motor."""
    bandwidth_scale: "Span" = (1.0, 1.0)
    """Multiples of the identified bandwidth. On the physics tier none is quicker than its own motors."""
    damping: "Span" = (1.0, 1.0)
    """Multiples of the identified damping ratio, where the response is not the physics tier's own."""
    gain: "Span" = (1.0, 1.0)
    """Share of the commanded way that is carried out."""
    backlash: "Span" = (0.0, 0.0)
    """rad of play in every joint."""
    friction: "Span" = (1.0, 1.0)
    """Multiples of the model's; the kinematic tier has none."""
    loose_antenna: "Span" = (1.0, 1.0)
    """Multiples of the left antenna's bandwidth and damping."""
    latency: "Span" = (LATENCY, LATENCY)
    """s from exposure to the policy, in whole ticks."""
    noise: "Span" = (1.0, 1.0)
    """Multiples of the usual sensing noise."""
    missed: "Span" = (SensingNoise.missed, SensingNoise.missed)
    """Share of frames in which nothing is found."""
    visuals: str = "training"
    """Name of the visuals' range (visuals.py)."""
    motors: Actuators = IDENTIFIED
    """What the multiples multiply; ``reachy-kit sysid`` writes others."""

    def draw(self, uniforms: Array) -> "Drawn":
        """Conditions of N episodes from (N, DRAWS) numbers in [0, 1)."""
        value: dict[str, Array] = {}
        for column, name in enumerate(_RANGES):
            low, high = getattr(self, name)
            value[name] = low + (high - low) * uniforms[:, column]
        table = self.motors.table(len(uniforms))
        bandwidth_scale = np.repeat(value["bandwidth_scale"][:, None], 9, axis=1)
        damping = np.repeat(value["damping"][:, None], 9, axis=1)
        bandwidth_scale[:, _ANTENNA] *= value["loose_antenna"]
        damping[:, _ANTENNA] *= value["loose_antenna"]
        actuators = Actuators(
            # Joints keep their differences from one another; the range is the middle one's.
            delay=np.clip(value["delay"][:, None] + table["delay"] - _middle(table["delay"]), 0.0, MAX_DELAY),
            # As shipped, unless something makes it slower: then both tiers respond as identified, times the multiples.
            bandwidth=np.where((bandwidth_scale < 1) | (damping != 1), table["bandwidth"] * bandwidth_scale, np.inf),
            damping=table["damping"] * damping,
            gain=value["gain"][:, None] * table["gain"],
            rate_limit=table["rate_limit"],
            backlash=value["backlash"][:, None] + table["backlash"],
            friction=value["friction"][:, None] + np.zeros(9),
        )
        ticks = np.round(np.minimum(value["latency"], MAX_LATENCY) * CONTROL_HZ).astype(np.int64)
        return Drawn(actuators, ticks, value["noise"], value["missed"])


def _middle(values: Array) -> Array:
    return np.asarray(np.median(values, axis=-1, keepdims=True))


_RANGES = tuple(field.name for field in fields(DomainParameters) if field.name not in ("visuals", "motors"))
DRAWS = len(_RANGES)


@dataclass(frozen=True)
class Drawn:
    """The conditions of N episodes."""

    actuators: Actuators
    """(N, 9)."""
    latency: np.ndarray
    """(N,) ticks."""
    noise: Array
    """(N,)."""
    missed: Array
    """(N,)."""


@dataclass(frozen=True)
class Variant:
    """A task under named conditions."""

    name: str
    task: "Task"
    conditions: DomainParameters = DomainParameters()

    @property
    def has_conditions_of_its_own(self) -> bool:
        """Whether motors, senses or looks differ from the training variant's."""
        usual = DomainParameters()
        # Motors are arrays, which do not compare as one; no variant has others.
        return replace(self.conditions, motors=usual.motors) != usual


def variants(*every: Variant) -> dict[str, Variant]:
    """By name; the first is the training one, the rest are held out."""
    return {variant.name: variant for variant in every}


def _on(**conditions: DomainParameters) -> "Callable[[Task], list[Variant]]":
    return lambda task: [Variant(name, task, value) for name, value in conditions.items()]


HELD_OUT_ROBOTS = _on(
    # An XL330 at a third of the shipped model's bandwidth, over a busy bus.
    sluggish=DomainParameters(bandwidth_scale=(0.25, 0.4), delay=(0.05, 0.08)),
    worn=DomainParameters(gain=(0.96, 0.99), backlash=(0.02, 0.05), friction=(1.5, 2.5)),
    loose_antenna=DomainParameters(loose_antenna=(0.15, 0.3)),
)
"""Held-out dynamics for a task."""
HELD_OUT_SENSING = _on(
    noisy=DomainParameters(noise=(3.0, 5.0)),
    late=DomainParameters(latency=(0.1, 0.16)),
    dropped_frames=DomainParameters(missed=(0.25, 0.45)),
)
"""Held-out sensing."""
HELD_OUT_VISUALS = _on(
    **{
        name: DomainParameters(visuals=name)
        for name in ("other_colour", "dim_light", "busy_background", "tilted_camera")
    }
)
"""Held-out looks. Policies on state see through them, but for the tilted camera, which bends their bearings too."""

RANDOMIZATIONS = {
    "off": DomainParameters(),
    "mild": DomainParameters(
        delay=(0.02, 0.04), bandwidth_scale=(0.6, 1.0), gain=(0.97, 1.0), friction=(0.7, 1.5), noise=(0.5, 2.0),
        missed=(0.0, 0.1), latency=(0.02, 0.06),
    ),
    "wide": DomainParameters(
        delay=(0.01, 0.08), bandwidth_scale=(0.25, 1.0), gain=(0.9, 1.0), backlash=(0.0, 0.03), friction=(0.5, 2.5),
        loose_antenna=(0.3, 1.0), noise=(0.5, 4.0), missed=(0.0, 0.3), latency=(0.02, 0.14),
    ),
}  # fmt: skip
"""How far training may be spread. The robot's own delay is 20–40 ms; the rest is chosen around the held-out variants:
``mild`` stays short of them, ``wide`` reaches into them."""


def randomization(name: str) -> DomainParameters:
    """Conditions by name, or around the motors that ``reachy-kit sysid`` identified.

    Args:
        name: off, mild, wide, or the path of a JSON of sysid.

    Raises:
        WrongUseError: there is neither.
        RefusedError: the file holds no identified motors.
    """
    if name in RANDOMIZATIONS:
        return RANDOMIZATIONS[name]
    if Path(name).suffix == ".json":
        found = Actuators.load(Path(name))
        delay = float(np.median(found.delay))
        return replace(RANDOMIZATIONS["mild"], motors=found, delay=(max(delay - 0.01, 0.0), delay + 0.01))
    raise WrongUseError(f"no randomization is called {name!r}; there are {', '.join(RANDOMIZATIONS)}, or a sysid JSON")
