"""The residual policy: what the frozen base wants, corrected by at most α on the axes that matter."""

from collections import deque
from pathlib import Path
from typing import Any, NoReturn

import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import Tensor, nn

from reachy_kit.runtime.interface import ACTION_NAMES, ACTION_UNITS
from reachy_kit.runtime.recording.schema import OBS_LAST_ACTION
from reachy_policies.models.residual.configuration_residual import ReachyResidualConfig
from reachy_policies.models.residual.frozen_base import FrozenBase

BASE = "base"
"""Sub-folder of the policy's folder that holds the base's."""
_TINY = 5e-3
"""Floor of a standard deviation, as in the chunk policy."""
_METRES = 0.1
"""m of a position for one rad of ``alpha``."""


class ResidualNetwork(nn.Module):
    """Observations and the base's action → the corrected action; normalisation inside, so that it exports as one graph.

    The last layer begins at zero, so that an untrained correction is none.

    Args:
        config: sizes, axes and bound.
        action_dim: A, also the size of the state.
        env_dim: K, features of ``environment_state``.
    """

    input_mean: Tensor
    input_std: Tensor
    reach: Tensor
    """(axes, A) m and rad: what a correction of one does to the action."""

    def __init__(self, config: ReachyResidualConfig, action_dim: int, env_dim: int) -> None:
        super().__init__()
        self.action_dim = action_dim
        self.inputs = config.n_obs_steps * (action_dim + env_dim) + 2 * action_dim
        self.register_buffer("input_mean", torch.zeros(self.inputs))
        self.register_buffer("input_std", torch.ones(self.inputs))
        reach = torch.zeros(len(config.axes), action_dim)
        for row, name in enumerate(config.axes):
            place = ACTION_NAMES.index(name)
            reach[row, place] = config.alpha * (1.0 if ACTION_UNITS[place] == "rad" else _METRES)
        self.register_buffer("reach", reach)
        last = nn.Linear(config.hidden, len(config.axes))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.body = nn.Sequential(
            nn.Linear(self.inputs, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            last,
        )

    def features(self, state: Tensor, environment_state: Tensor, last_action: Tensor, base_action: Tensor) -> Tensor:
        """The latest observation, its changes since earlier ones, and the leads of the command and of the base.

        Args:
            state: (B, T, A) m and rad, oldest first.
            environment_state: (B, T, K).
            last_action: (B, A).
            base_action: (B, A) what the base wants now.

        Returns:
            (B, T·(A + K) + 2·A), not yet normalised.
        """
        observed = torch.cat([state, environment_state], dim=-1)
        changes = (observed[:, -1:] - observed[:, :-1]).flatten(1)
        pose = state[:, -1]
        return torch.cat([observed[:, -1], changes, last_action - pose, base_action - pose], dim=-1)

    def fit_normalisation(self, features: Tensor) -> None:
        """Take means and deviations from (B, ·) ``features``."""
        self.input_mean.copy_(features.mean(0))
        self.input_std.copy_(features.std(0).clamp_min(_TINY))

    def normalised(self, features: Tensor) -> Tensor:
        """``features`` in the standard deviations of the first episodes."""
        return (features - self.input_mean) / self.input_std

    def correction(self, normalised: Tensor) -> Tensor:
        """(B, ·) → (B, axes) in [−1, 1], shares of the reach."""
        return torch.tanh(self.body(normalised))

    def corrected(self, base_action: Tensor, correction: Tensor) -> Tensor:
        """(B, A) m and rad: the base's action, moved by (B, axes) shares of the reach."""
        return base_action + correction @ self.reach

    def forward(self, state: Tensor, environment_state: Tensor, last_action: Tensor, base_action: Tensor) -> Tensor:
        """(B, A) the action; arguments as of ``features``."""
        features = self.features(state, environment_state, last_action, base_action)
        return self.corrected(base_action, self.correction(self.normalised(features)))


class ReachyResidualPolicy(PreTrainedPolicy):
    """The correction and what it corrects, behind LeRobot's policy interface.

    Args:
        config: of the correction.
        base: what it corrects.
    """

    config_class = ReachyResidualConfig
    name = "reachy_residual"

    def __init__(self, config: ReachyResidualConfig, base: FrozenBase, **kwargs: Any) -> None:
        super().__init__(config)
        config.validate_features()
        action, env = config.output_features[ACTION], config.input_features[OBS_ENV_STATE]
        self.network = ResidualNetwork(config, action.shape[0], env.shape[0])
        self.base = base
        self.reset()

    @classmethod
    def from_pretrained(
        cls, pretrained_name_or_path: str | Path, *, config: PreTrainedConfig | None = None, **kwargs: Any
    ) -> "ReachyResidualPolicy":
        """From a folder on this computer, with the base in its sub-folder."""
        folder = Path(pretrained_name_or_path)
        config = config or PreTrainedConfig.from_pretrained(folder, local_files_only=True)
        base = FrozenBase.load(folder / BASE)
        loaded: ReachyResidualPolicy = super().from_pretrained(folder, config=config, base=base, **kwargs)
        return loaded

    def _save_pretrained(self, save_directory: Path, state_dict: dict[str, Tensor] | None = None) -> None:
        super()._save_pretrained(save_directory, state_dict)
        self.base.save(save_directory / BASE)

    def get_optim_params(self) -> list[nn.Parameter]:
        """The correction's; the base is frozen."""
        return list(self.network.parameters())

    def reset(self) -> None:
        """Forget the episode before."""
        self.base.reset()
        self._seen: deque[Tensor] = deque(maxlen=self.config.n_obs_steps)

    def forward(self, batch: dict[str, Tensor]) -> NoReturn:
        """It has no loss on datasets."""
        raise NotImplementedError("a residual learns in the simulator: reachy-kit train rl --method residual")

    def predict_action_chunk(self, batch: dict[str, Tensor], **kwargs: Any) -> NoReturn:
        """It plans one action at a time."""
        raise NotImplementedError("a residual has no chunks; call select_action")

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **kwargs: Any) -> Tensor:
        """(B, A) the next action. Call it once a decision with single observations."""
        base_action = self.base.act(batch)
        return self.network(*self.look(batch), batch[OBS_LAST_ACTION], base_action)

    def look(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Note the latest observation; (B, T, A) and (B, T, K) of it and those before."""
        state, env = batch[OBS_STATE], batch[OBS_ENV_STATE]
        self._seen.append(torch.cat([state, env], dim=-1))
        seen = [self._seen[0]] * (self.config.n_obs_steps - len(self._seen)) + list(self._seen)
        states, features = torch.stack(seen, dim=1).split([state.shape[-1], env.shape[-1]], dim=-1)
        return states, features
