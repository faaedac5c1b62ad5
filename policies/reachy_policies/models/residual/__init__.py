"""A small correction, learned by reinforcement, on top of any frozen LeRobot policy.

    a = a_base + α · tanh π(o, a_base)

The base runs as it was trained, once per chunk; the correction runs at every decision.

Source: ResFiT (arXiv 2509.19301) and Policy Decorator (arXiv 2412.13630), implemented from the papers.
"""

from reachy_policies.models.residual.configuration_residual import ReachyResidualConfig
from reachy_policies.models.residual.modeling_residual import ReachyResidualPolicy
from reachy_policies.models.residual.processor_residual import make_reachy_residual_pre_post_processors

__all__ = ["ReachyResidualConfig", "ReachyResidualPolicy", "make_reachy_residual_pre_post_processors"]
