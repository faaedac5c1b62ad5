"""Specification of a training in the simulator: task, variant, method and start."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reachy_kit.runtime.errors import RefusedError
from reachy_policies.reinforcement.reinforce_config import ReinforceConfig
from reachy_policies.rollouts.episode_batch import BatchPolicy, Envs
from reachy_policies.runs.saved_run import Run, open_run, weights_digest

METHODS = ("ppo", "scratch", "bc-continue", "filtered-bc", "residual")
_NOT_IDENTITY = ("max_seconds", "threads", "checkpoints")
"""Settings that may change before a training is resumed."""


@dataclass(frozen=True)
class ReinforceSpec:
    """Task, variants, method, start and observations of a training."""

    task: str
    variant: str
    """Name of the variant, or several separated by commas: a curriculum."""
    tier: str
    reward: str
    randomization: str
    method: str
    start: Path | None
    """The imitation run; None for ``scratch``."""
    policy_hz: int
    control_hz: int
    environment_state: tuple[str, ...]
    obs_type: str = "state"
    """Kind of observation: ``state`` for perception's features, ``pixels`` for the camera's images."""
    randomization_sha256: str = ""
    """SHA-256 of the file that ``randomization`` is; empty where it is a name."""

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants one after another; evaluations are in the last."""
        return tuple(self.variant.split(","))


@dataclass(frozen=True)
class SimFactory:
    """Factories of the simulator: injected, because learning does not import it."""

    envs: Callable[[str, str, int], Envs]
    """Makes environments of a tier and a variant to learn in, without autoreset."""
    eval_envs: Callable[[int], Envs]
    """Makes environments to evaluate in."""
    expert: Callable[[int, int], BatchPolicy]
    """Makes the scripted expert for N environments from the first seed of their episodes."""


def open_start(spec: ReinforceSpec) -> Run | None:
    """The run that a training starts from; None for ``scratch``.

    Raises:
        WrongUseError: the folder is not a run.
        RefusedError: it was trained for another task, or on other features.
    """
    if spec.start is None:
        return None
    run = open_run(spec.start)
    card = run.card
    if card.task != spec.task:
        raise RefusedError(f"{spec.start} was trained for {card.task}, not for {spec.task}. Give another --init")
    if card.environment_state != spec.environment_state:
        raise RefusedError(
            f"{spec.start} was trained on {', '.join(card.environment_state)}; {spec.task} gives "
            f"{', '.join(spec.environment_state)}"
        )
    return run


def identity_of(spec: ReinforceSpec, config: ReinforceConfig, start: Run | None) -> dict[str, Any]:
    """Identity of a training by the names of its settings; its duration is not part of it, nor is a folder."""
    settings = {name: value for name, value in asdict(config).items() if name not in _NOT_IDENTITY}
    names = ("task", "variant", "tier", "reward", "randomization", "method", "policy_hz", "obs_type")
    own = {name: getattr(spec, name) for name in names}
    if spec.randomization_sha256:
        own |= {
            "randomization": Path(spec.randomization).name,
            "randomization_sha256": spec.randomization_sha256,
        }
    return {**own, "start": weights_digest(start.path) if start else "", **settings}
