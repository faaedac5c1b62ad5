"""Settings of learning a residual; those that it shares with the other methods are inherited."""

from dataclasses import dataclass

from reachy_policies.reinforcement.reinforce_config import ReinforceConfig


@dataclass(frozen=True)
class ResidualConfig(ReinforceConfig):
    """TD3 on the correction of a frozen policy, with the expert's episodes in the memory.

    Of the inherited settings it uses seed, iterations, max_seconds, finish, num_envs, hidden, n_obs_steps, explore,
    sigma, batch_size, lr, critic_lr, gamma, smooth, warmup, eval_every, eval_episodes, checkpoints and threads.
    """

    iterations: int = 16
    num_envs: int = 64
    alpha: float = 0.15
    """Largest correction of an angle, rad; of a position a tenth of it, in m."""
    sigma: float = 0.05
    """Spread of the exploration at each decision, rad."""
    fade: float = 0.9
    """Share of the exploration noise that remains after one decision. Independent noise would only shake the head."""
    ramp: int = 100_000
    """Number of decisions over which the share of environments with an active correction grows from 0 to 1."""
    demonstrations: int = 2
    """Number of the expert's episodes in each environment, collected first; 0 for none."""
    demonstration_share: float = 0.5
    """Share of each batch that comes from them."""
    memory: int = 1_000
    """Number of the policy's own episodes that are kept."""
    n_step: int = 3
    critics: int = 2
    updates: int = 200
    """Updates of the critics per iteration; every second one is also of the actor."""
    batch_size: int = 256
    lr: float = 3e-4
    gamma: float = 0.95
    """Discount from one decision to the next."""
    polyak: float = 0.01
    """Share of the critics in the targets at each update."""
    smooth: float = 0.5
    """Weight of the squared change of the correction, in shares of its bound, from one decision to the next. On hard
    ``track`` the commands' jerk rose from 197 to 210–230 rad/s³ with it; with a tenth of it, in a run of three
    iterations that had twice the critics and updates, to 453."""
    warmup: int = 2
    """Number of iterations in which only the critics learn."""
    eval_every: int = 2
    checkpoints: bool = False
    """Off: each checkpoint would hold a copy of the frozen policy."""

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = ("memory", "n_step", "critics", "updates")
        small = [name for name in counts if getattr(self, name) < 1]
        if small:
            raise ValueError(f"{', '.join(small)} must be at least 1")
        shares = [name for name in ("fade", "demonstration_share") if not 0 <= getattr(self, name) < 1]
        if shares:
            raise ValueError(f"{', '.join(shares)} must lie in 0 ≤ share < 1")
        if not 0 < self.alpha <= 1:
            raise ValueError(f"alpha must lie in (0, 1] rad, got {self.alpha}")
