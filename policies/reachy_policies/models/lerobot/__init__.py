"""LeRobot's own policies on our datasets, through its public calls; nothing else here knows their insides.

Try it: reachy-kit train imitation --policy act --dataset data/look_at --out runs/look_at_act
"""

from reachy_policies.imitation.lerobot_training import fit_lerobot
from reachy_policies.models.lerobot.inference import batch_policy_of, single_policy_of
from reachy_policies.models.lerobot.lerobot_config import AdapterConfig, policy_config_class, read_policy_config

__all__ = [
    "AdapterConfig",
    "batch_policy_of",
    "fit_lerobot",
    "policy_config_class",
    "read_policy_config",
    "single_policy_of",
]
