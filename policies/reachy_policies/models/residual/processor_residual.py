"""LeRobot's pre- and post-processing of the residual policy: device and batch only; the base brings its own."""

from typing import Any

from lerobot.processor import PolicyAction, PolicyProcessorPipeline, make_default_pre_post_processors
from torch import Tensor

from reachy_policies.models.residual.configuration_residual import ReachyResidualConfig


def make_reachy_residual_pre_post_processors(
    config: ReachyResidualConfig, dataset_stats: dict[str, dict[str, Tensor]] | None = None
) -> tuple[
    PolicyProcessorPipeline[dict[str, Any], dict[str, Any]], PolicyProcessorPipeline[PolicyAction, PolicyAction]
]:
    """LeRobot's default pipelines; with every mapping at identity they leave the numbers as they are."""
    return make_default_pre_post_processors(config, dataset_stats, normalizer_device=config.device)
