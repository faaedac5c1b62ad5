"""LeRobot's own policies on our datasets, through its public calls; nothing else here knows their insides.

Try it: reachy-kit train imitation --policy act --dataset data/look_at --out runs/look_at_act
"""

from reachy_policies.adapter.acting import batch_policy_of, single_policy_of
from reachy_policies.adapter.configuration import AdapterConfig, policy_config_class, read_policy_config
from reachy_policies.adapter.training import fit_lerobot

__all__ = [
    "AdapterConfig",
    "batch_policy_of",
    "fit_lerobot",
    "policy_config_class",
    "read_policy_config",
    "single_policy_of",
]
