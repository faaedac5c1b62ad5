"""The compact chunk policy behind LeRobot's policy interface."""

from collections import deque
from typing import Any

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE
from torch import Tensor, nn

from reachy_kit.runtime.inference.chunked import TemporalEnsembler
from reachy_kit.runtime.recording.schema import IMAGE, OBS_LAST_ACTION
from reachy_policies.models.chunk.chunk_network import ChunkNetwork
from reachy_policies.models.chunk.configuration_chunk import ReachyChunkConfig
from reachy_policies.models.chunk.image_encoder import VisionChunkNetwork


class ReachyChunkPolicy(PreTrainedPolicy):
    """The network behind LeRobot's policy interface."""

    config_class = ReachyChunkConfig
    name = "reachy_chunk"

    def __init__(self, config: ReachyChunkConfig, **kwargs: Any) -> None:
        super().__init__(config)
        config.validate_features()
        (actions,), sensed = config.output_features[ACTION].shape, config.input_features[config.senses]
        self.network = (
            VisionChunkNetwork(config, actions, sensed.shape, config.named)
            if config.senses == IMAGE
            else ChunkNetwork(config, actions, sensed.shape[0])
        )
        self.reset()

    def get_optim_params(self) -> list[nn.Parameter]:
        """Everything learns."""
        return list(self.parameters())

    def reset(self) -> None:
        """Forget the episode before."""
        self._seen: deque[dict[str, Tensor]] = deque(maxlen=self.config.n_obs_steps)
        self._plan: deque[Tensor] = deque()
        coefficient = self.config.temporal_ensemble_coeff
        self._ensemble = None if coefficient is None else TemporalEnsembler(coefficient, self.config.chunk_size)

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
        if (named := batch.get(OBS_ENV_STATE)) is not None:
            total = total + network.auxiliary_feature_loss(inputs, named[:, -1] if named.ndim == 3 else named)
        return total, {"error": (error * weight).sum().item()}

    def predict_action_chunk(self, batch: dict[str, Tensor], noise: Tensor | None = None, **kwargs: Any) -> Tensor:
        """(B, chunk, A) absolute actions; the mean, unless noise (B, chunk, A) is given."""
        state, env, last = self._inputs(batch)
        if noise is None:
            noise = state.new_zeros(len(state), self.config.chunk_size, self.network.action_dim)
        return self.network(state, env, last, noise)

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **kwargs: Any) -> Tensor:
        """(B, A) the next action; plans anew every ``n_action_steps``. Call it once a step with single observations."""
        keys = OBS_STATE, self.config.senses
        self._seen.append({key: batch[key] for key in keys})
        if not self._plan:
            seen = [self._seen[0]] * (self.config.n_obs_steps - len(self._seen)) + list(self._seen)
            window = {key: torch.stack([one[key] for one in seen], dim=1) for key in keys}
            chunk = self.predict_action_chunk({**window, OBS_LAST_ACTION: batch[OBS_LAST_ACTION]}, **kwargs)
            if self._ensemble is not None:
                return torch.from_numpy(self._ensemble.update(chunk.cpu().numpy())).to(chunk.device)
            self._plan.extend(chunk[:, : self.config.n_action_steps].unbind(1))
        return self._plan.popleft()

    def _inputs(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        last, sensed = batch[OBS_LAST_ACTION], batch[self.config.senses]
        if self.config.senses == IMAGE:  # LeRobot's pictures lie between 0 and 1
            sensed = 255 * sensed[:, :: sensed.shape[1] - 1].flatten(2)
        return batch[OBS_STATE], sensed, last[:, -1] if last.ndim == 3 else last
