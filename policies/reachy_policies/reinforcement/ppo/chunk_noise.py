"""Smooth exploration: a chunk is varied along few directions only, an offset and a slope for each axis that explores.

The policy's probability is that of these few numbers, the *latent*; the rest of a plan follows its mean.
"""

import torch
from torch import Tensor


class ChunkNoiseBasis:
    """Orthogonal directions of a chunk along which noise is added.

    Args:
        chunk: C, decisions in a plan.
        axes: indices of the axes that explore.
        action_dim: A.
    """

    def __init__(self, chunk: int, axes: list[int], action_dim: int) -> None:
        shapes = [torch.ones(chunk)]
        if chunk > 1:
            shapes.append(torch.linspace(-1.0, 1.0, chunk))
        basis = torch.zeros(len(axes) * len(shapes), chunk, action_dim)
        for row, axis in enumerate(axes):
            for kind, shape in enumerate(shapes):
                basis[row * len(shapes) + kind, :, axis] = shape
        self.size = len(basis)
        self._shape = (chunk, action_dim)
        self._basis = basis.flatten(1)
        self._onto = (self._basis / self._basis.square().sum(1, keepdim=True)).T.contiguous()

    def latent(self, chunk: Tensor) -> Tensor:
        """Components (B, L) of (B, C, A) chunks, rad and m, along the directions."""
        return chunk.flatten(1) @ self._onto

    def variation(self, latent: Tensor) -> Tensor:
        """Variation (B, C, A) that (B, L) components describe."""
        variation: Tensor = (latent @ self._basis).unflatten(1, self._shape)
        return variation

    def residue(self, chunk: Tensor) -> Tensor:
        """Part (B, C, A) of a chunk that does not vary: it is orthogonal to all directions."""
        return chunk - self.variation(self.latent(chunk))
