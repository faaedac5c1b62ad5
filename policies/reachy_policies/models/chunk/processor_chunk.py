"""LeRobot's pre- and post-processing of the chunk policy: device and batch only; normalisation is in the network."""

from lerobot.processor import make_default_pre_post_processors
from torch import Tensor

from reachy_policies.models.chunk.configuration_chunk import ReachyChunkConfig
from reachy_policies.models.pretrained import Processors


def make_reachy_chunk_pre_post_processors(
    config: ReachyChunkConfig, dataset_stats: dict[str, dict[str, Tensor]] | None = None
) -> Processors:
    """LeRobot's default pipelines; with every mapping at identity they leave the numbers as they are."""
    before, after = make_default_pre_post_processors(config, dataset_stats, normalizer_device=config.device)
    return before, after
