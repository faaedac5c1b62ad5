"""Settings of reinforcement learning; `reachy-kit train rl --set` changes each of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.tasks.task_registry import task_spec


@dataclass(frozen=True)
class ReinforceConfig:
    """Chunked Gaussian PPO from an imitation checkpoint.

    Source of the method: DPPO's chunked Gaussian (arXiv 2409.00588); of the KL to the start: VPT and DAPG.
    """

    seed: int = 0
    iterations: int = 25
    """Number of iterations: each collects whole episodes and learns from them."""
    max_seconds: float = 0.0
    """Wall time after which to stop, s; 0: after ``iterations``."""
    finish: int = 3
    """Number of last iterations that run in physics with ``--tier both``."""
    num_envs: int = 256
    chunk: int = 5
    """Number of decisions of a plan, all carried out before the next plan."""
    hidden: int = 128
    """Width of an untrained network's layers; an imitation keeps its own."""
    n_obs_steps: int = 4
    """Number of observations that an untrained network takes."""
    explore: str = ""
    """Axes that explore, comma-separated, such as ``head_pitch.pos,head_yaw.pos``; empty means the task's own."""
    sigma: float = 0.08
    """Spread of the exploration at the start, rad, for the offset and for the slope of a chunk. Independent noise
    on every number of the chunk destroys a good start (a prototype: 34 % to 2 %)."""
    sigma_low: float = 0.02
    sigma_high: float = 0.15
    epochs: int = 5
    batch_size: int = 1280
    lr: float = 1e-3
    """Learning rate of the actor."""
    critic_lr: float = 1e-3
    gamma: float = 0.9
    """Discount from one chunk to the next. The reward is immediate, so two seconds ahead are enough."""
    gae_lambda: float = 0.9
    clip: float = 0.2
    kl_stop: float = 0.06
    """Stop an iteration's epochs when the mean KL to the collecting policy exceeds this."""
    kl: float = 0.0
    """Weight of the KL from the policy to the imitation, on the policy's own states."""
    anchor: float = 1.0
    """Weight of staying near the imitation on the axes that do not explore."""
    smooth: float = 0.02
    """Weight of the plan's jerk, in multiples of the demonstrations' spread."""
    feature_loss: float = 1.0
    """Weight of the loss of the predicted features, for a policy on images."""
    warmup: int = 3
    """Iterations in which only the critic learns: an untrained one would destroy a good start."""
    eval_every: int = 5
    """Iterations between evaluations on fixed held-out episodes; the best checkpoint is chosen by them."""
    eval_episodes: int = 128
    checkpoints: bool = True
    """Keep the weights of every evaluation as a run: comparisons at equal return choose among them."""
    threads: int = 1
    """Threads of torch. With another job on the machine two were 14–32 times slower."""

    def __post_init__(self) -> None:
        counts = ("iterations", "num_envs", "chunk", "epochs", "batch_size", "eval_every", "eval_episodes", "threads")
        small = [name for name in counts if getattr(self, name) < 1]
        if small:
            raise ValueError(f"{', '.join(small)} must be at least 1")
        if not 0 < self.sigma_low <= self.sigma <= self.sigma_high:
            raise ValueError("sigma must satisfy 0 < sigma_low ≤ sigma ≤ sigma_high")
        unknown = [name for name in self.explore.split(",") if name and name not in ACTION_NAMES]
        if unknown:
            raise ValueError(f"explore: {', '.join(unknown)} is not an axis; the axes are {', '.join(ACTION_NAMES)}")


PIXEL_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"num_envs": 64, "batch_size": 320, "epochs": 4, "eval_episodes": 32}
)
"""Defaults for a policy on images where they differ: rendering and encoding an image takes two milliseconds."""


def explored_axes(config: ReinforceConfig, task: str) -> list[int]:
    """Indices in ``ACTION_NAMES`` of the axes that explore."""
    names = [name for name in config.explore.split(",") if name] or task_spec(task).explored_axes
    return [ACTION_NAMES.index(name) for name in names]
