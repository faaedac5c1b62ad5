"""The compact chunk policy, as a LeRobot policy: a small network on state and perception that plans a few steps.

LeRobot's own policies are made for images: ACT trains at 0.6 steps/s on two cores. This one trains in seconds.
"""

from reachy_policies.models.chunk.configuration_chunk import ReachyChunkConfig
from reachy_policies.models.chunk.modeling_chunk import ReachyChunkPolicy
from reachy_policies.models.chunk.processor_chunk import make_reachy_chunk_pre_post_processors

__all__ = ["ReachyChunkConfig", "ReachyChunkPolicy", "make_reachy_chunk_pre_post_processors"]
