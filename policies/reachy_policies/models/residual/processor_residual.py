"""LeRobot's pre- and post-processing of the residual policy: device and batch only; the base brings its own."""

from lerobot.processor import make_default_pre_post_processors
from torch import Tensor

from reachy_policies.models.pretrained import Processors
from reachy_policies.models.residual.configuration_residual import ReachyResidualConfig


def make_reachy_residual_pre_post_processors(
    config: ReachyResidualConfig, dataset_stats: dict[str, dict[str, Tensor]] | None = None
) -> Processors:
    """LeRobot's default pipelines; with every mapping at identity they leave the numbers as they are."""
    before, after = make_default_pre_post_processors(config, dataset_stats, normalizer_device=config.device)
    return before, after
