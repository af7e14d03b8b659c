"""Shape parameters to coefficients of the linear shape basis."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["LinearShape", "PhenotypeGrid", "ShapeSpace"]


@dataclass(frozen=True)
class LinearShape:
    """Shape and expression parameters that are the coefficients themselves (SMPL family: expressions move the joints, too)."""

    num_expression: int
    """Coefficients behind those of the shape."""

    def coefficients(self, shape: Float[Tensor, "K S"], expression: Float[Tensor, "K E"]) -> Float[Tensor, "K C"]:
        """Both, one behind the other; expressions that are not given are zero."""
        if not expression.shape[1]:
            expression = shape.new_zeros(len(shape), self.num_expression)
        return torch.cat([shape, expression], 1)


@dataclass(frozen=True)
class PhenotypeGrid:
    """Anny's phenotypes: coefficients interpolated multilinearly between the corners of a grid of body types.

    MakeHuman's targets are products of one-dimensional hat functions of the phenotypes, so interpolation of the coefficients at the
    grid's corners is the same function, and a cheaper one.
    """

    table: Float[Tensor, "corners C"]
    """Coefficients at the corners; the last phenotype varies fastest."""
    anchors: tuple[Tensor, ...]
    """Grid positions of each phenotype, increasing."""

    def coefficients(self, shape: Float[Tensor, "K S"], expression: Float[Tensor, "K E"] | None = None) -> Float[Tensor, "K C"]:
        """Coefficients of phenotypes; values outside the anchors are clamped to them (gradient zero there, one-sided at the border).

        Facial actions deform the surface only and have no part in them.
        """
        count = self.table.shape[-1]
        value = self.table.expand(len(shape), -1, -1)
        for axis, anchors in enumerate(self.anchors):
            weight = _hats(shape[:, axis], anchors)
            value = torch.einsum("ka,karc->krc", weight, value.reshape(len(shape), len(anchors), -1, count))
        return value[:, 0]


ShapeSpace = LinearShape | PhenotypeGrid


def _hats(value: Float[Tensor, "K"], anchors: Float[Tensor, "A"]) -> Float[Tensor, "K A"]:
    """Piecewise linear interpolation weights; between two anchors only theirs are non-zero, and rows sum to 1."""
    value = value.clamp(anchors[0], anchors[-1])
    upper = torch.searchsorted(anchors, value.detach().contiguous()).clamp(1, len(anchors) - 1)
    low, high = anchors[upper - 1], anchors[upper]
    alpha = ((value - low) / (high - low))[:, None]
    one_hot = torch.eye(len(anchors), dtype=value.dtype, device=value.device)
    return (1 - alpha) * one_hot[upper - 1] + alpha * one_hot[upper]
