"""The plain-torch twin of the rasteriser: it defines what the kernels compute, and runs where Warp is absent or the type is float64."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.render._corners import NEAR

__all__ = ["EMPTY", "evaluate", "nearest_faces"]

EMPTY = 0x7FFFFFFFFFFFFFFF
"""Key of a pixel without a triangle."""
PAIRS = 1 << 16
"""Triangle-pixel pairs expanded at a time: few enough to stay in the cache (twice as fast as 2²¹)."""


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _areas(corner: Float[Tensor, "n 3 4"], p: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """Unnormalised barycentrics: cross products of ``q = (hx, hy) - w p``, in float64 (see the kernels' module)."""
    c = corner.double()
    q = c[..., :2] - c[..., 2:3] * p.double()[:, None]
    return torch.stack([_cross(q[:, 1], q[:, 2]), _cross(q[:, 2], q[:, 0]), _cross(q[:, 0], q[:, 1])], -1)


def _boxes(corner: Float[Tensor, "f 3 4"], width: int, height: int) -> tuple[Int[Tensor, "f 2"], Int[Tensor, "f 2"]]:
    """First pixel and size of each triangle's pixel box; the whole image for triangles that cross the near plane, none for those behind it."""
    z, w = corner[..., 3], corner[..., 2:3]
    limit = torch.tensor([width, height], device=corner.device)
    beyond = (z > NEAR).all(-1)[:, None]
    uv = corner[..., :2] / torch.where(beyond[..., None], w, torch.ones_like(w))
    low = torch.where(beyond, (uv.amin(1) - 0.51).ceil().clamp_min(0).minimum(limit).nan_to_num(0), 0).long()
    high = torch.where(beyond, (uv.amax(1) - 0.49).floor().clamp_min(-1).minimum(limit - 1).nan_to_num(-1), limit - 1).long()
    size = (high - low + 1).clamp_min(0)
    drawn = (z > NEAR).any(-1) & torch.isfinite(corner).all((-1, -2)) & (size > 0).all(-1)
    return low, size * drawn[:, None]


def nearest_faces(corner: Float[Tensor, "views v 4"], faces: Int[Tensor, "f 3"], width: int, height: int) -> Int[Tensor, "views h w"]:
    """Index of the nearest triangle at each pixel centre, -1 where there is none; ties go to the smaller index."""
    key = torch.full((len(corner), height * width), EMPTY, dtype=torch.int64, device=corner.device)
    for view, points in enumerate(corner):
        tri = points[faces]
        low, size = _boxes(tri, width, height)
        count = size.prod(-1)
        ends = count.cumsum(0)
        for start in range(0, int(ends[-1]) if len(ends) else 0, PAIRS):
            pair = torch.arange(start, min(start + PAIRS, int(ends[-1])), device=corner.device)
            t = torch.searchsorted(ends, pair, right=True)
            local = pair - (ends - count)[t]
            x, y = low[t, 0] + local % size[t, 0], low[t, 1] + local // size[t, 0]
            area = _areas(tri[t], torch.stack([x, y], -1) + 0.5)
            total = area.sum(-1)
            inside = ((area >= 0).all(-1) | (area <= 0).all(-1)) & (total != 0)
            depth = ((area * tri[t][..., 3].double()).sum(-1) / torch.where(inside, total, 1)).float()
            hit = inside & (depth > NEAR)
            word = (depth[hit].view(torch.int32).long() << 32) | t[hit]
            key[view].scatter_reduce_(0, (y * width + x)[hit], word, "amin")
    return torch.where(key == EMPTY, -1, key & 0x7FFFFFFF).int().reshape(len(corner), height, width)


def evaluate(
    corner: Float[Tensor, "views v 4"], faces: Int[Tensor, "f 3"], face_id: Int[Tensor, "views h w"]
) -> tuple[Float[Tensor, "views h w 3"], Float[Tensor, "views h w"]]:
    """Barycentrics and depth at the pixel centres for given triangles; differentiable in the corners, zero where the index is -1."""
    view, y, x = (face_id >= 0).nonzero(as_tuple=True)
    index = view[:, None] * corner.shape[1] + faces[face_id[view, y, x].long()]
    tri = corner.flatten(0, 1).index_select(0, index.flatten()).reshape(-1, 3, 4)
    area = _areas(tri, torch.stack([x, y], -1) + 0.5)
    weight = area / area.sum(-1, keepdim=True)
    z = (weight * tri[..., 3].double()).sum(-1)
    bary = torch.zeros(*face_id.shape, 3, dtype=corner.dtype, device=corner.device)
    depth = torch.zeros(face_id.shape, dtype=corner.dtype, device=corner.device)
    return bary.index_put((view, y, x), weight.to(corner.dtype)), depth.index_put((view, y, x), z.to(corner.dtype))
