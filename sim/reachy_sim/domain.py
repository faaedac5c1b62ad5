"""Domain parameters: ranges of the robot's motors, senses and camera.

Every episode draws each number independently. *Randomization* spreads the training itself; held-out
parameters make variants of a task (tasks/variants.py) on which policies are evaluated and never trained.
Try it: reachy-kit eval expert --task track --variant sluggish --episodes 20
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import CONTROL_HZ, Array
from reachy_sim.dynamics.actuators import IDENTIFIED, MAX_DELAY, Actuators
from reachy_sim.sensing_noise import SensingNoise

type Range = tuple[float, float]

LATENCY = 0.04
"""Time from exposure to the policy, s: one frame at 25 Hz. The robot's 30 Hz stream and the transfer take as long at
best."""
MAX_LATENCY = 0.28
"""Longest latency for which the simulator remembers poses, s."""
_LEFT_ANTENNA = 8
"""Index in ``JOINTS`` of the antenna that can be loose."""


@dataclass(frozen=True)
class DomainParameters:
    """Ranges, low and high, from which every episode draws."""

    delay: Range = (0.03, 0.03)
    """Time from command to motor, s."""
    bandwidth_scale: Range = (1.0, 1.0)
    """Multiples of the identified bandwidth. The physics tier is at most as quick as the model's own motors."""
    damping: Range = (1.0, 1.0)
    """Multiples of the identified damping ratio, where the response is not the physics tier's own."""
    gain: Range = (1.0, 1.0)
    """Share of the commanded motion that is carried out."""
    backlash: Range = (0.0, 0.0)
    """Play in every joint, rad."""
    friction: Range = (1.0, 1.0)
    """Multiples of the model's friction; the kinematic tier has no friction."""
    loose_antenna: Range = (1.0, 1.0)
    """Multiples of the left antenna's bandwidth and damping."""
    latency: Range = (LATENCY, LATENCY)
    """Time from exposure to the policy, s, in whole ticks."""
    noise: Range = (1.0, 1.0)
    """Multiples of the usual sensing noise."""
    missed: Range = (SensingNoise.missed, SensingNoise.missed)
    """Share of frames in which the detector finds nothing."""
    visuals: str = "training"
    """Name of a range of visuals (rendering/visuals.py)."""
    motors: Actuators = IDENTIFIED
    """Motors that the multiples scale; ``reachy-kit sysid`` identifies other ones."""

    def draw(self, uniforms: Array) -> "DomainSample":
        """Draw the parameters of N episodes.

        Args:
            uniforms: (N, DRAWS) in [0, 1).
        """
        value: dict[str, Array] = {}
        for column, name in enumerate(_RANGES):
            low, high = getattr(self, name)
            value[name] = low + (high - low) * uniforms[:, column]
        table = self.motors.table(len(uniforms))
        bandwidth_scale = np.repeat(value["bandwidth_scale"][:, None], 9, axis=1)
        damping = np.repeat(value["damping"][:, None], 9, axis=1)
        bandwidth_scale[:, _LEFT_ANTENNA] *= value["loose_antenna"]
        damping[:, _LEFT_ANTENNA] *= value["loose_antenna"]
        actuators = Actuators(
            # Joints keep their differences from one another; the range is that of the median joint.
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
        return DomainSample(actuators, ticks, value["noise"], value["missed"])


def _middle(values: Array) -> Array:
    return np.asarray(np.median(values, axis=-1, keepdims=True))


_RANGES = tuple(field.name for field in fields(DomainParameters) if field.name not in ("visuals", "motors"))
DRAWS = len(_RANGES)


@dataclass(frozen=True)
class DomainSample:
    """The parameters that N episodes drew."""

    actuators: Actuators
    """(N, 9) parameters of the motors."""
    latency: npt.NDArray[np.int64]
    """(N,) ticks from exposure to the policy."""
    noise: Array
    """(N,) multiples of the usual sensing noise."""
    missed: Array
    """(N,) share of frames in which the detector finds nothing."""


HELD_OUT_ROBOTS = {
    # An XL330 at a third of the shipped model's bandwidth, over a busy bus.
    "sluggish": DomainParameters(bandwidth_scale=(0.25, 0.4), delay=(0.05, 0.08)),
    "worn": DomainParameters(gain=(0.96, 0.99), backlash=(0.02, 0.05), friction=(1.5, 2.5)),
    "loose_antenna": DomainParameters(loose_antenna=(0.15, 0.3)),
}
"""Held-out dynamics by name of the variant."""
HELD_OUT_SENSING = {
    "noisy": DomainParameters(noise=(3.0, 5.0)),
    "late": DomainParameters(latency=(0.1, 0.16)),
    "dropped_frames": DomainParameters(missed=(0.25, 0.45)),
}
"""Held-out sensing."""
HELD_OUT_VISUALS = {
    name: DomainParameters(visuals=name) for name in ("other_colour", "dim_light", "busy_background", "tilted_camera")
}
"""Held-out visuals. Only the tilted camera changes what a policy on state observes: it bends bearings."""

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
"""Randomization of the training by name. The robot's own delay is 20–40 ms; the other ranges are chosen around the
held-out variants: ``mild`` stays short of them, ``wide`` reaches into them."""


def randomization(name: str) -> DomainParameters:
    """Domain parameters by name, or ``mild`` around the motors that ``reachy-kit sysid`` identified.

    Args:
        name: off, mild, wide, or the path of a JSON that ``reachy-kit sysid`` wrote.

    Raises:
        WrongUseError: the name is neither.
        RefusedError: the file does not hold identified motors.
    """
    if name in RANDOMIZATIONS:
        return RANDOMIZATIONS[name]
    if Path(name).suffix == ".json":
        motors = Actuators.load(Path(name))
        delay = float(np.median(motors.delay))
        return replace(RANDOMIZATIONS["mild"], motors=motors, delay=(max(delay - 0.01, 0.0), delay + 0.01))
    raise WrongUseError(f"no randomization is called {name!r}; there are {', '.join(RANDOMIZATIONS)}, or a sysid JSON")
