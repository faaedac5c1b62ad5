"""The residual policy: the frozen base's action, corrected by at most α on the axes that matter."""

from pathlib import Path
from typing import Any, NoReturn

import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import Tensor, nn

from reachy_kit.runtime.inference.history import ObservationHistory
from reachy_kit.runtime.recording.schema import OBS_LAST_ACTION
from reachy_policies.models.residual.configuration_residual import ReachyResidualConfig
from reachy_policies.models.residual.frozen_base import FrozenBase
from reachy_policies.models.residual.residual_network import ResidualNetwork

BASE = "base"
"""Name of the sub-folder that holds the base."""


class ReachyResidualPolicy(PreTrainedPolicy):
    """A frozen base and its correction, behind LeRobot's policy interface.

    Args:
        config: configuration of the correction.
        base: the policy that is corrected.
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
        """Load from a folder on this computer, with the base in its sub-folder."""
        folder = Path(pretrained_name_or_path)
        config = config or PreTrainedConfig.from_pretrained(folder, local_files_only=True)
        base = FrozenBase.load(folder / BASE)
        loaded: ReachyResidualPolicy = super().from_pretrained(folder, config=config, base=base, **kwargs)
        return loaded

    def _save_pretrained(self, save_directory: Path, state_dict: dict[str, Tensor] | None = None) -> None:
        super()._save_pretrained(save_directory, state_dict)
        self.base.save(save_directory / BASE)

    def get_optim_params(self) -> list[nn.Parameter]:
        """Parameters of the correction; the base is frozen."""
        return list(self.network.parameters())

    def reset(self) -> None:
        """Forget the episode before."""
        self.base.reset()
        self._history = ObservationHistory(self.config.n_obs_steps)

    def forward(self, batch: dict[str, Tensor]) -> NoReturn:
        """Refuse: a residual has no loss on datasets."""
        raise NotImplementedError("a residual learns in the simulator, not on datasets")

    def predict_action_chunk(self, batch: dict[str, Tensor], **kwargs: Any) -> NoReturn:
        """Refuse: a residual plans one action at a time."""
        raise NotImplementedError("a residual has no chunks; call select_action")

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **kwargs: Any) -> Tensor:
        """(B, A) the next action. Call it once per decision, with (B, …) inputs."""
        base_action = self.base.act(batch)
        action: Tensor = self.network(*self.observe(batch), base_action)
        return action

    def observe(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Add the latest observation; returns the network's inputs, (B, T, A), (B, T, K) and (B, A)."""
        keys = OBS_STATE, OBS_ENV_STATE, OBS_LAST_ACTION
        self._history.append(*(batch[key].cpu().numpy() for key in keys))
        state, env, last = (torch.from_numpy(part).to(batch[OBS_STATE].device) for part in self._history.inputs())
        return state, env, last
