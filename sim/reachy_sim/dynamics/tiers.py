"""The two tiers of dynamics: their common interface, and how a tier is opened by name.

``physics`` is MuJoCo with the daemon's settings; ``kinematic`` is identified motors under exact leg geometry, a hundred
times as fast, without contacts or gravity.
"""

from typing import Protocol

from reachy_kit.runtime.errors import WrongUseError
from reachy_kit.runtime.interface import Array
from reachy_sim.dynamics.actuators import Actuators
from reachy_sim.dynamics.joints import Ids
from reachy_sim.dynamics.kinematic_tier import Kinematic
from reachy_sim.dynamics.physics_tier import Physics

TIERS = ("physics", "kinematic")


class Dynamics(Protocol):
    """N robots that follow the targets of their motors."""

    num_envs: int

    def reset(self, ids: Ids, poses: Array, actuators: Actuators) -> None:
        """Place robots ``ids`` exactly at (K, 9) poses, at rest."""
        ...

    def step(self, targets: Array) -> None:
        """Advance a tick with (N, 9) rad on the motors, in the order of ``JOINTS``."""
        ...

    @property
    def head_rotation(self) -> Array:
        """(N, 3, 3) base ← head."""
        ...

    @property
    def head_position(self) -> Array:
        """(N, 3) m, base frame."""
        ...

    @property
    def state(self) -> Array:
        """(N, 9) measured, in the order of ``ACTION_NAMES``."""
        ...


def open_dynamics(tier: str, num_envs: int, *, settings: str = "daemon", threads: int = 0) -> Dynamics:
    """Open the dynamics of a tier.

    Args:
        tier: physics or kinematic.
        num_envs: N.
        settings: of the physics tier: daemon, fast or coarse.
        threads: of the physics tier; 0 takes every core.

    Raises:
        WrongUseError: the tier or its settings do not exist.
    """
    if tier == "physics":
        return Physics(num_envs, settings, threads=threads)
    if tier == "kinematic":
        return Kinematic(num_envs)
    raise WrongUseError(f"no tier is called {tier!r}; there are {', '.join(TIERS)}")
