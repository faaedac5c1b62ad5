"""Several critics at once: one batched network for each layer, so that four cost little more than one."""

import math

import torch
from torch import Tensor, nn


class Critics(nn.Module):
    """C critics of a correction.

    Layer normalisation keeps them from overrating actions that were never tried.

    Args:
        count: C.
        inputs: features of an observation.
        axes: numbers of a correction.
        hidden: width.

    Source: RLPD (arXiv 2302.02948) for the layer normalisation; REDQ (2101.05982) for the ensemble.
    """

    def __init__(self, count: int, inputs: int, axes: int, hidden: int) -> None:
        super().__init__()
        self._count = count
        self.layers = nn.Sequential(
            _Layers(count, inputs + axes, hidden),
            nn.LayerNorm(hidden),
            nn.SiLU(),
            _Layers(count, hidden, hidden),
            nn.LayerNorm(hidden),
            nn.SiLU(),
            _Layers(count, hidden, 1),
        )

    def forward(self, normalised: Tensor, correction: Tensor) -> Tensor:
        """(B, F), (B, axes) → (C, B) value, in rewards per decision."""
        inputs = torch.cat([normalised, correction], dim=-1)
        values: Tensor = self.layers(inputs.expand(self._count, -1, -1))
        return values.squeeze(-1)


class _Layers(nn.Module):
    """C linear layers side by side."""

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(count, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count, 1, outputs).uniform_(-bound, bound))

    def forward(self, inputs: Tensor) -> Tensor:
        """(C, B, I) → (C, B, O)."""
        return torch.baddbmm(self.bias, inputs, self.weight)
