"""A texture for any mesh from a colour function: two triangles share one square cell of a grid.

The charts of a procedural mesh need not be pretty, but every texel must have its own place on the surface: with half-texel margins, bilinear
lookups never mix the colours of two cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["TexelMap", "cell_atlas"]


@dataclass(frozen=True)
class TexelMap:
    """Texture coordinates of a mesh and, for each used texel, its place on it."""

    uv: Float[Tensor, "T 2"]
    """v up, in [0, 1]."""
    faces_uv: Int[Tensor, "F 3"]
    """Rows of ``uv``."""
    size: int
    """Side of the square texture [px]."""
    texel: Int[Tensor, "n"]
    """Flat index (row-major, first row on top) of each used texel."""
    face: Int[Tensor, "n"]
    """Face of each used texel."""
    bary: Float[Tensor, "n 3"]
    """Barycentrics, clamped to the face."""

    def paint(self, colours: Float[Tensor, "n 3"]) -> Float[Tensor, "size size 3"]:
        """The texture with the given colour at each used texel; grey elsewhere."""
        image = torch.full((self.size * self.size, 3), 0.5, dtype=colours.dtype, device=colours.device)
        image[self.texel] = colours
        return image.reshape(self.size, self.size, 3)


def cell_atlas(faces: int, *, size: int = 1024) -> TexelMap:
    """Atlas for ``faces`` triangles in a square texture of ``size`` px; at least 6 px per cell, the texture grows if needed."""
    per_row = max(1, math.ceil(math.sqrt(math.ceil(faces / 2))))
    n = max(6, size // per_row)
    size = max(size, n * per_row)
    cell = torch.arange((faces + 1) // 2)
    origin = torch.stack([cell % per_row, cell // per_row], -1) * n
    low = torch.tensor([[0.5, 0.5], [n - 2.5, 0.5], [0.5, n - 2.5]])
    corners = torch.stack([low, n - low])  # the second triangle is the first one turned by half a turn
    uv_px = (origin[:, None, None] + corners[None]).reshape(-1, 3, 2)[:faces]
    uv = torch.stack([uv_px[..., 0] / size, 1 - uv_px[..., 1] / size], -1).reshape(-1, 2)
    y, x = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    upper = (x + y) > (n - 1)
    fx, fy = torch.where(upper, n - 1 - x, x), torch.where(upper, n - 1 - y, y)
    bary = torch.stack([(n - 3 - fx - fy) / (n - 3), fx / (n - 3), fy / (n - 3)], -1).clamp_min(0)
    bary = bary / bary.sum(-1, keepdim=True)
    face = (2 * cell[:, None, None] + upper).reshape(-1)
    texel = ((origin[:, 1, None, None] + y) * size + origin[:, 0, None, None] + x).reshape(-1)
    used = face < faces
    every = bary.expand(len(cell), n, n, 3).reshape(-1, 3)
    return TexelMap(uv, torch.arange(3 * faces).reshape(faces, 3), size, texel[used], face[used], every[used])
