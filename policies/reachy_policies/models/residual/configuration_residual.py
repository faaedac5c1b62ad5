"""Configuration of the residual policy."""

from dataclasses import dataclass, field

from lerobot.configs import NormalizationMode, PreTrainedConfig
from lerobot.optim import AdamWConfig
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE

from reachy_kit.runtime.interface import ACTION_NAMES
from reachy_kit.runtime.recording.schema import OBS_LAST_ACTION


@PreTrainedConfig.register_subclass("reachy_residual")
@dataclass
class ReachyResidualConfig(PreTrainedConfig):
    """A bounded correction of a frozen policy's actions.

    The base lies beside the weights, in the sub-folder ``base``: a ``pretrained_model`` folder of its own, with its own
    processors. Normalisation of the correction happens inside its network; LeRobot's pipelines change nothing.
    """

    n_obs_steps: int = 4
    """Number of observations that the correction takes: the latest and those before it."""
    hidden: int = 128
    """Width of the two hidden layers."""
    alpha: float = 0.15
    """Largest correction of an angle, rad; of a position a tenth of it, in m."""
    axes: list[str] = field(default_factory=lambda: ["head_pitch.pos", "head_yaw.pos"])
    """Names of the axes that are corrected; the others keep the base's action."""
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
        if not 0 < self.alpha <= 1:
            raise ValueError(f"alpha must lie in (0, 1] rad, got {self.alpha}")
        unknown = [name for name in self.axes if name not in ACTION_NAMES]
        if unknown or not self.axes:
            raise ValueError(f"axes: {', '.join(unknown) or 'none'} given; there are {', '.join(ACTION_NAMES)}")

    def validate_features(self) -> None:
        """Require the three inputs and the action.

        Raises:
            ValueError: one is missing.
        """
        have = set(self.input_features or {}) | set(self.output_features or {})
        missing = {OBS_STATE, OBS_ENV_STATE, OBS_LAST_ACTION, ACTION} - have
        if missing:
            raise ValueError(f"the residual policy needs {', '.join(sorted(missing))}")

    @property
    def observation_delta_indices(self) -> list[int]:
        """Steps of the observations relative to now."""
        return list(range(1 - self.n_obs_steps, 1))

    @property
    def action_delta_indices(self) -> list[int]:
        """Steps of the actions relative to now: one action at a time."""
        return [0]

    @property
    def reward_delta_indices(self) -> None:
        """None: a residual is not trained from datasets."""
        return None

    def get_optimizer_preset(self) -> AdamWConfig:
        """AdamW, because LeRobot requires a preset; training in the simulator has its own optimizer."""
        return AdamWConfig()

    def get_scheduler_preset(self) -> None:
        """None: the rate is constant."""
        return None
