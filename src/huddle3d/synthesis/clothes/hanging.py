"""Hanging clothes on the base mesh: fitted at rest, bound to its bones, and hidden where an outer layer covers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.io import ClothesFile
from huddle3d.scene import BodyParams

__all__ = ["Motion", "bind", "fit_clothes", "hidden_vertices", "visible_parts"]


def fit_clothes(clothes: ClothesFile, base: Float[Tensor, "B 3"]) -> Float[Tensor, "N 3"]:
    """Vertices of a garment on base vertices at rest [m].

    ``p = w0 h(i0) + w1 h(i1) + w2 h(i2) + diag(s) d`` with ``s_k = |h(a_k)_k - h(b_k)_k| / length_k``: MakeHuman's rule.
    """
    h = base.double()
    scale = torch.ones(3, dtype=torch.float64)
    for k, entry in enumerate(clothes.scale):
        if entry is not None:
            a, b, length = entry
            scale[k] = (10 * (h[a, k] - h[b, k])).abs() / length
    rows, weights = torch.from_numpy(clothes.rows), torch.from_numpy(clothes.weights)
    placed = (h[rows] * weights[..., None]).sum(1) + torch.from_numpy(clothes.offsets) * scale / 10
    return placed.to(base.dtype)


def bind(clothes: ClothesFile, weights: Float[Tensor, "B J"]) -> Float[Tensor, "N J"]:
    """Skinning weights of a garment: those of its base vertices, mixed as its places are."""
    mixed = weights[torch.from_numpy(clothes.rows)] * torch.from_numpy(clothes.weights).to(weights)[..., None]
    mixed = mixed.sum(1).clamp_min(0)
    return mixed / mixed.sum(1, keepdim=True).clamp_min(1e-8)


@dataclass(frozen=True)
class Motion:
    """The skinning transforms of one person."""

    R: Float[Tensor, "J 3 3"]
    t: Float[Tensor, "J 3"]

    @staticmethod
    def of(body: BodyModel, params: BodyParams) -> Motion:
        """Of the first person of ``params``."""
        coefficients = body.shape_space.coefficients(params.shape[:1], params.expression[:1])
        pose = body.skeleton.pose(coefficients, params.pose[:1], params.translation[:1])
        return Motion(pose.skin_R[0], pose.skin_t[0])

    def __call__(self, rest: Float[Tensor, "N 3"], weights: Float[Tensor, "N J"]) -> Float[Tensor, "N 3"]:
        """Points at rest, skinned into the world."""
        R = (weights @ self.R.flatten(1)).unflatten(1, (3, 3))
        return (R @ rest[..., None])[..., 0] + weights @ self.t


def visible_parts(clothes: ClothesFile, hidden: Bool[Tensor, "B"]) -> Bool[Tensor, "N"]:
    """Vertices of a garment that outer layers leave: their base vertex is visible, or two of their three."""
    seen = ~hidden[torch.from_numpy(clothes.rows)]
    return torch.where(torch.from_numpy(clothes.single), seen[:, 0], seen.sum(1) >= 2)


def hidden_vertices(worn: Sequence[tuple[int, Bool[Tensor, "B"]]], count: int) -> tuple[list[Bool[Tensor, "B"]], Bool[Tensor, "B"]]:
    """Walk clothes from the highest layer to the lowest.

    Args:
        worn: layer and covered base vertices of each piece; pieces of one layer do not hide each other.
        count: base vertices.

    Returns:
        For each piece the base vertices hidden by what lies over it, and those hidden by any piece.
    """
    none = torch.zeros(count, dtype=torch.bool)
    over = []
    for layer, _ in worn:
        hidden = none.clone()
        for other, covers in worn:
            if other > layer:
                hidden |= covers
        over.append(hidden)
    every = none.clone()
    for _, covers in worn:
        every |= covers
    return over, every
