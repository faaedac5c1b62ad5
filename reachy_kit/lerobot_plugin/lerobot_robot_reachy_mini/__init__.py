"""Registers reachy_kit with LeRobot: the environments as ``--env.type=reachy_mini``, the policy as ``reachy_chunk``.

Try it: lerobot-eval --env.type=reachy_mini --env.task=look_at --policy.path=runs/look_at/pretrained_model
"""

from lerobot_robot_reachy_mini.env import ReachyMiniEnvConfig
from reachy_policies.models.chunk import ReachyChunkConfig, ReachyChunkPolicy

__all__ = ["ReachyChunkConfig", "ReachyChunkPolicy", "ReachyMiniEnvConfig"]
