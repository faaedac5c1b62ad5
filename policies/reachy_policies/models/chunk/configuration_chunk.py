"""Configuration of the compact chunk policy."""

from dataclasses import dataclass, field

from lerobot.configs import FeatureType, NormalizationMode, PolicyFeature, PreTrainedConfig
from lerobot.optim import AdamWConfig, CosineDecayWithWarmupSchedulerConfig
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE

from reachy_kit.runtime.recording.schema import IMAGE, OBS_LAST_ACTION


@PreTrainedConfig.register_subclass("reachy_chunk")
@dataclass
class ReachyChunkConfig(PreTrainedConfig):
    """A Gaussian over chunks of actions, from the last few observations.

    Normalisation happens inside the network (its statistics are buffers), because the chunk is predicted as offsets
    from the measured pose in real units, and because the exported graph must carry it. LeRobot's pipelines change
    nothing.
    """

    n_obs_steps: int = 4
    """Number of observations that the policy takes: the latest and those before it."""
    chunk_size: int = 8
    """Number of actions that it plans."""
    n_action_steps: int = 2
    """Number of actions that it carries out before it plans again."""
    temporal_ensemble_coeff: float | None = None
    """Average the overlapping plans at each step, with ACT's weights (``TemporalEnsembler``). A plan is made at
    every step, so ``n_action_steps`` must be 1."""
    hidden: int = 128
    """Width of the two hidden layers. With 256 the imitation of hard ``track`` alone succeeds a little more often, and
    imitation and reinforcement learning together take half as long again (policies/RESULTS.md)."""
    motion_noise: float = 1.0
    """Noise added in training to the inputs that show motion, in their standard deviations. They predict the next
    command so well that a policy relies on them and ignores the target (causal confusion: de Haan et al. 2019).
    Measured on ``look_at`` with 20 demonstrations, 2 seeds × 30 episodes: 100 % with it, 88 % without; with twice the
    actuation delay 100 % and 78 %."""
    auxiliary_features: int = 0
    """Number of features that the image encoder of a vision policy learns to predict besides the plan."""
    min_log_std: float = -4.0
    """Floor of the Gaussian's spread, in standard deviations of the demonstrated offsets."""
    lr: float = 1e-3
    weight_decay: float = 1e-4
    push_to_hub: bool = False
    device: str | None = "cpu"
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: dict.fromkeys(("STATE", "ENV", "ACTION"), NormalizationMode.IDENTITY)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_obs_steps < 2:
            raise ValueError(
                f"n_obs_steps must be at least 2 (one observation shows no motion), got {self.n_obs_steps}"
            )
        if not 1 <= self.n_action_steps <= self.chunk_size:
            raise ValueError(f"n_action_steps must lie in 1..chunk_size={self.chunk_size}, got {self.n_action_steps}")
        if self.temporal_ensemble_coeff is not None and self.n_action_steps != 1:
            raise ValueError(
                f"temporal_ensemble_coeff plans at every step: n_action_steps must be 1, got {self.n_action_steps}"
            )

    def validate_features(self) -> None:
        """Require the three inputs and the action.

        Raises:
            ValueError: one is missing.
        """
        have = set(self.input_features or {}) | set(self.output_features or {})
        missing = {OBS_STATE, self.sensed_key, OBS_LAST_ACTION, ACTION} - have
        if missing:
            raise ValueError(f"the chunk policy needs {', '.join(sorted(missing))}, which the dataset does not have")

    @property
    def sensed_key(self) -> str:
        """LeRobot's key of the input besides the pose: perception's features, or the camera's images."""
        return IMAGE if IMAGE in (self.input_features or {}) else OBS_ENV_STATE

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """Channels, rows and columns of the images; None if the policy takes features."""
        return tuple(self.input_features[IMAGE].shape) if self.sensed_key == IMAGE else None

    def declare_features(self, action_dim: int, env_dim: int, image_shape: tuple[int, ...] | None) -> None:
        """Set the input and output features.

        Args:
            action_dim: A, numbers of a pose and of an action.
            env_dim: K, features of ``environment_state``.
            image_shape: channels, rows and columns, for a policy that takes images instead of features.
        """
        sensed = (
            (OBS_ENV_STATE, PolicyFeature(FeatureType.ENV, (env_dim,)))
            if image_shape is None
            else (IMAGE, PolicyFeature(FeatureType.VISUAL, tuple(image_shape)))
        )
        self.auxiliary_features = env_dim if image_shape else 0
        pose = PolicyFeature(FeatureType.STATE, (action_dim,))
        self.input_features = {OBS_STATE: pose, sensed[0]: sensed[1], OBS_LAST_ACTION: pose}
        self.output_features = {ACTION: PolicyFeature(FeatureType.ACTION, (action_dim,))}

    @property
    def observation_delta_indices(self) -> list[int]:
        """Steps of the observations relative to now."""
        return list(range(1 - self.n_obs_steps, 1))

    @property
    def action_delta_indices(self) -> list[int]:
        """Steps of the planned actions relative to now."""
        return list(range(self.chunk_size))

    @property
    def reward_delta_indices(self) -> None:
        """None: imitation has no rewards."""
        return None

    def get_optimizer_preset(self) -> AdamWConfig:
        """AdamW at ``lr``."""
        return AdamWConfig(lr=self.lr, weight_decay=self.weight_decay)

    def get_scheduler_preset(self) -> CosineDecayWithWarmupSchedulerConfig:
        """A short warm-up, then cosine decay to a tenth."""
        return CosineDecayWithWarmupSchedulerConfig(
            num_warmup_steps=100, num_decay_steps=4_000, peak_lr=self.lr, decay_lr=self.lr / 10
        )
