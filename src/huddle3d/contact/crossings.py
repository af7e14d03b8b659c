"""Pairs of triangles that cross each other."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.compute import kernel_backend, launch_rows, warp
from huddle3d.contact._checks import check_faces, check_vertices

__all__ = ["crossing_faces", "self_crossing_faces"]

_BLOCK = 32  # faces per row of a launch
_CHUNK = 2_000_000  # pairs of boxes that the twin compares at once


def crossing_faces(
    vertices_a: Float[Tensor, "V 3"], faces_a: Int[Tensor, "F 3"], vertices_b: Float[Tensor, "U 3"], faces_b: Int[Tensor, "G 3"]
) -> Int[Tensor, "P 2"]:
    """All pairs (face of A, face of B) that intersect, sorted.

    Tested in millimetres, because the kernel's test has an absolute tolerance. Whether triangles count that only touch, or overlap in
    one plane, is left open.
    """
    check_vertices(vertices_a)
    check_faces(faces_a, len(vertices_a))
    check_vertices(vertices_b)
    check_faces(faces_b, len(vertices_b))
    return _pairs(vertices_a, faces_a, vertices_b, faces_b, same=False)


def self_crossing_faces(vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]) -> Int[Tensor, "P 2"]:
    """All pairs (i, j), i < j, of one mesh's faces that intersect and share no vertex, sorted."""
    check_vertices(vertices)
    check_faces(faces, len(vertices))
    return _pairs(vertices, faces, vertices, faces, same=True)


def _pairs(va: Tensor, fa: Tensor, vb: Tensor, fb: Tensor, *, same: bool) -> Int[Tensor, "P 2"]:
    va, vb, fb = va.detach() * 1000, vb.detach().to(va) * 1000, fb.to(va.device)
    find = _pairs_warp if kernel_backend() == "warp" else _pairs_twin
    pairs = find(va, fa.to(va.device), vb, fb, same)
    return pairs[torch.argsort(pairs[:, 0] * len(fb) + pairs[:, 1])]


def _pairs_warp(va: Tensor, fa: Tensor, vb: Tensor, fb: Tensor, same: bool) -> Int[Tensor, "P 2"]:
    from huddle3d.contact import _triangle_kernels

    wp = warp()
    va, vb, fa, fb = va.float().contiguous(), vb.float().contiguous(), fa.int().contiguous(), fb.int().contiguous()
    points_b = wp.from_torch(vb, dtype=wp.vec3)
    mesh = wp.Mesh(points_b, wp.from_torch(fb.reshape(-1)))
    count = torch.zeros(len(fa), dtype=torch.int32, device=va.device)
    partner = torch.zeros(0, dtype=torch.int32, device=va.device)
    first = torch.zeros_like(count)
    for _ in range(2):  # count, then write into the rows' own places
        inputs = [mesh.id, wp.from_torch(va, dtype=wp.vec3), wp.from_torch(fa), points_b, wp.from_torch(fb), int(same)]
        inputs += [wp.from_torch(first), wp.from_torch(count), wp.from_torch(partner), _BLOCK]
        launch_rows(_triangle_kernels.crossing_kernel, -(-len(fa) // _BLOCK), _BLOCK, inputs, va.device)
        first = (count.cumsum(0) - count).int()
        if len(partner) or not (total := int(count.sum())):
            break
        partner = torch.zeros(total, dtype=torch.int32, device=va.device)
    owner = torch.repeat_interleave(torch.arange(len(fa), device=va.device), count.long())
    return torch.stack([owner, partner.long()], -1)


def _pairs_twin(va: Tensor, fa: Tensor, vb: Tensor, fb: Tensor, same: bool) -> Int[Tensor, "P 2"]:
    """Boxes by brute force; two triangles cross if an edge of one passes through the other."""
    ta, tb = va[fa].double(), vb[fb].double()
    out = []
    for start in range(0, len(ta), step := max(1, _CHUNK // len(tb))):
        chunk = ta[start : start + step]
        apart = (chunk.amin(1)[:, None] > tb.amax(1)[None]) | (tb.amin(1)[None] > chunk.amax(1)[:, None])
        i, j = (~apart.any(-1)).nonzero(as_tuple=True)
        i = i + start
        if same:
            keep = (j > i) & ~(fa[i][:, :, None] == fb[j][:, None, :]).any(-1).any(-1)
            i, j = i[keep], j[keep]
        hit = _edge_hits(ta[i], tb[j]) | _edge_hits(tb[j], ta[i])
        out.append(torch.stack([i[hit], j[hit]], -1))
    return torch.cat(out)


def _edge_hits(a: Float[Tensor, "n 3 3"], b: Float[Tensor, "n 3 3"]) -> Tensor:
    """Whether an edge of triangle ``a`` passes through triangle ``b``: its ends lie on different sides, its line inside all three edges."""
    hit = torch.zeros(len(a), dtype=torch.bool, device=a.device)

    def volume(p: Tensor, q: Tensor, r: Tensor, s: Tensor) -> Tensor:
        return ((q - p) * torch.linalg.cross(r - p, s - p)).sum(-1)

    b0, b1, b2 = b.unbind(1)
    for k in range(3):
        p, q = a[:, k], a[:, (k + 1) % 3]
        sides = torch.stack([volume(p, q, b0, b1), volume(p, q, b1, b2), volume(p, q, b2, b0)], -1)
        across = volume(p, b0, b1, b2) * volume(q, b0, b1, b2) < 0
        hit |= across & ((sides > 0).all(-1) | (sides < 0).all(-1))
    return hit
