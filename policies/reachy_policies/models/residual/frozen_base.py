"""The frozen policy under a residual: any LeRobot policy with its processors, for one robot or a batch of them."""

from pathlib import Path

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import OBS_ENV_STATE, OBS_STATE
from torch import Tensor

import reachy_policies.models.chunk  # noqa: F401  (registers the kind)
from reachy_kit.runtime.errors import RefusedError
from reachy_kit.runtime.recording.schema import OBS_LAST_ACTION
from reachy_policies.models.pretrained import Processors, load_pretrained, save_pretrained

type Batch = dict[str, Tensor]


class FrozenBase:
    """A trained policy that no longer changes.

    LeRobot's policies queue the actions of a chunk themselves, so a slow one runs once per chunk.

    Args:
        policy: LeRobot's.
        processors: before and after it.

    Raises:
        RefusedError: the policy needs inputs that a residual does not observe.
    """

    def __init__(self, policy: PreTrainedPolicy, processors: Processors) -> None:
        missing = sorted(set(policy.config.input_features or {}) - {OBS_STATE, OBS_ENV_STATE, OBS_LAST_ACTION})
        if missing:
            raise RefusedError(
                f"a residual takes state and perception; the policy under it needs {', '.join(missing)} as well. "
                "Train one with --policy chunk"
            )
        self.policy = policy.eval().requires_grad_(False)
        self._before, self._after = processors

    @classmethod
    def load(cls, folder: Path) -> "FrozenBase":
        """Load a ``pretrained_model`` folder.

        Raises:
            RefusedError: it is damaged, or not a policy of LeRobot's.
        """
        return cls(*load_pretrained(folder))

    def save(self, folder: Path) -> None:
        """Save as a ``pretrained_model`` folder."""
        save_pretrained(folder, self.policy, (self._before, self._after))

    def reset(self) -> None:
        """Forget the episode before."""
        self.policy.reset()
        self._before.reset()
        self._after.reset()

    @torch.no_grad()
    def act(self, batch: Batch) -> Tensor:
        """(B, A) m and rad; call it once per decision, with that decision's (B, …) observations."""
        inputs = {key: batch[key] for key in (OBS_STATE, OBS_ENV_STATE, OBS_LAST_ACTION)}
        action: Tensor = self._after(self.policy.select_action(self._before(inputs)))
        return action
