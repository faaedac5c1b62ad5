"""The compact chunk policy behind LeRobot's policy interface."""

from collections import deque
from typing import Any

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import Tensor, nn

from reachy_kit.runtime.inference.chunked import TemporalEnsembler
from reachy_kit.runtime.inference.history import ObservationHistory
from reachy_kit.runtime.interface import ANGLE_AXES, POSITION_AXES
from reachy_kit.runtime.recording.schema import IMAGE, OBS_LAST_ACTION
from reachy_policies.models.chunk.chunk_network import ChunkNetwork
from reachy_policies.models.chunk.configuration_chunk import ReachyChunkConfig
from reachy_policies.models.chunk.vision_network import VisionChunkNetwork


class ReachyChunkPolicy(PreTrainedPolicy):
    """The chunk network, behind LeRobot's policy interface."""

    config_class = ReachyChunkConfig
    name = "reachy_chunk"

    def __init__(self, config: ReachyChunkConfig, **kwargs: Any) -> None:
        super().__init__(config)
        config.validate_features()
        (actions,), sensed = config.output_features[ACTION].shape, config.input_features[config.sensed_key]
        self.network = (
            VisionChunkNetwork(config, actions, sensed.shape, config.auxiliary_features)
            if config.sensed_key == IMAGE
            else ChunkNetwork(config, actions, sensed.shape[0])
        )
        self.reset()

    def get_optim_params(self) -> list[nn.Parameter]:
        """All parameters; none is frozen."""
        return list(self.parameters())

    def reset(self) -> None:
        """Forget the episode before."""
        self._history = ObservationHistory(self.config.n_obs_steps, images=self.config.sensed_key == IMAGE)
        self._plan: deque[Tensor] = deque()
        coefficient = self.config.temporal_ensemble_coeff
        self._ensembler = None if coefficient is None else TemporalEnsembler(coefficient, self.config.chunk_size)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Negative log-likelihood of the demonstrated chunk, per number; padding past an episode's end does not count.

        Args:
            batch: LeRobot's, with ``observation_delta_indices`` and ``action_delta_indices`` applied.
        """
        state, env, last = self._inputs(batch)
        network = self.network
        inputs = network.inputs_from(network.normalised(state, env, last))
        mean, log_std = network.gaussian_from(inputs)
        wanted = (batch[ACTION] - state[:, -1:] - network.offset_mean) / network.offset_std
        loss = 0.5 * ((wanted - mean) * (-log_std).exp()) ** 2 + log_std
        real = torch.ones_like(wanted[..., 0]) if "action_is_pad" not in batch else (~batch["action_is_pad"]).float()
        weight = (real / (real.sum() * wanted.shape[-1]))[..., None]
        error = (wanted - mean).detach().abs() * network.offset_std
        total = (loss * weight).sum()
        if (features := batch.get(OBS_ENV_STATE)) is not None:
            total = total + network.auxiliary_feature_loss(inputs, features[:, -1] if features.ndim == 3 else features)
        errors = {"position_error": error[..., POSITION_AXES], "angle_error": error[..., ANGLE_AXES]}
        return total, {name: _mean_of_real(part, real) for name, part in errors.items()}

    def predict_action_chunk(self, batch: dict[str, Tensor], noise: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Predict (B, chunk, A) absolute actions: the mean, unless noise (B, chunk, A) is given."""
        state, env, last = self._inputs(batch)
        if noise is None:
            noise = state.new_zeros(len(state), self.config.chunk_size, self.network.action_dim)
        chunk: Tensor = self.network(state, env, last, noise)
        return chunk

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **kwargs: Any) -> Tensor:
        """Return the next action (B, A) and plan every ``n_action_steps``; called once per step, with (B, …) inputs."""
        keys = OBS_STATE, self.config.sensed_key, OBS_LAST_ACTION
        self._history.append(*(batch[key].cpu().numpy() for key in keys))
        if not self._plan:
            device = batch[OBS_STATE].device
            inputs = (torch.from_numpy(part).to(device) for part in self._history.inputs())
            chunk = self.predict_action_chunk(dict(zip(keys, inputs, strict=True)), **kwargs)
            if self._ensembler is not None:
                return torch.from_numpy(self._ensembler.update(chunk.cpu().numpy())).to(chunk.device)
            self._plan.extend(chunk[:, : self.config.n_action_steps].unbind(1))
        return self._plan.popleft()

    def _inputs(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        last, sensed = batch[OBS_LAST_ACTION], batch[self.config.sensed_key]
        if self.config.sensed_key == IMAGE:  # LeRobot's images lie between 0 and 1
            sensed = 255 * sensed[:, :: sensed.shape[1] - 1].flatten(2)
        return batch[OBS_STATE], sensed, last[:, -1] if last.ndim == 3 else last


def _mean_of_real(values: Tensor, real: Tensor) -> float:
    """Mean of (B, chunk, A) values over the steps that are not padding, a (B, chunk) mask."""
    return float((values * real[..., None]).sum().item() / (real.sum().item() * values.shape[-1]))
