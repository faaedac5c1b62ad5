"""The frozen policy underneath: any LeRobot policy, with its own processors, for one robot or a batch of them."""

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import OBS_ENV_STATE, OBS_STATE
from torch import Tensor

import reachy_policies.models.chunk  # noqa: F401  (LeRobot learns the kind's name)
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.recording.schema import OBS_LAST_ACTION

type Batch = dict[str, Tensor]


class FrozenBase:
    """Acts as it was trained to; nothing about it changes.

    LeRobot's policies queue the actions of a chunk themselves, so a slow one runs once a chunk.

    Args:
        policy: LeRobot's.
        before: what its observations go through.
        after: what its actions go through.

    Raises:
        RefusedError: it needs what these robots do not observe.
    """

    def __init__(self, policy: PreTrainedPolicy, before: Any, after: Any) -> None:
        missing = sorted(set(policy.config.input_features or {}) - {OBS_STATE, OBS_ENV_STATE, OBS_LAST_ACTION})
        if missing:
            raise RefusedError(
                f"a residual sees state and perception; the policy underneath wants {', '.join(missing)} as well. "
                "Train one without: reachy-kit train imitation"
            )
        self.policy = policy.eval().requires_grad_(False)
        self._before, self._after = before, after

    @classmethod
    def load(cls, folder: Path) -> "FrozenBase":
        """From a ``pretrained_model`` folder.

        Raises:
            RefusedError: it is damaged, or no policy of LeRobot's.
        """
        try:
            # LeRobot prints as it loads; standard output belongs to our results.
            with contextlib.redirect_stdout(io.StringIO()):
                config = PreTrainedConfig.from_pretrained(folder, local_files_only=True)
                policy = get_policy_class(config.type).from_pretrained(folder, config=config, strict=True)
                before, after = make_pre_post_processors(config, pretrained_path=str(folder))
        except Exception as error:  # draccus, safetensors and torch each raise their own
            raise RefusedError(f"{folder} cannot be loaded ({error}). Train it again") from error
        return cls(policy, before, after)

    def save(self, folder: Path) -> None:
        """As a ``pretrained_model`` folder."""
        self.policy.save_pretrained(folder)
        self._before.save_pretrained(folder)
        self._after.save_pretrained(folder)

    def reset(self) -> None:
        """Forget the episode before."""
        self.policy.reset()
        self._before.reset()
        self._after.reset()

    @torch.no_grad()
    def act(self, batch: Batch) -> Tensor:
        """(B, A) m and rad; call it once a decision with the single observations (B, ·) of that decision."""
        known = {key: batch[key] for key in (OBS_STATE, OBS_ENV_STATE, OBS_LAST_ACTION)}
        action: Tensor = self._after(self.policy.select_action(self._before(known)))
        return action
