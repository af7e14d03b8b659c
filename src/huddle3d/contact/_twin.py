"""The plain-torch definitions that the kernels are held to: brute-force closest point and exact solid angles, in chunks."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["closest_on_triangle", "closest_points", "is_sliver", "solid_angle", "winding_numbers"]

_CHUNK = 100_000  # point-triangle pairs that are held at once: few enough for the cache


def is_sliver(triangles: Float[Tensor, "*f 3 3"]) -> Tensor:
    """Triangles without a usable area; queries pass them over (twice the area below 1e-6 of the summed squared edges)."""
    a, b, c = triangles.unbind(-2)
    edges = ((b - a).square() + (c - a).square() + (c - b).square()).sum(-1)
    return torch.linalg.cross(b - a, c - a).norm(dim=-1) <= 1e-6 * edges


def closest_on_triangle(p: Float[Tensor, "*n 3"], a: Float[Tensor, "*n 3"], b: Float[Tensor, "*n 3"], c: Float[Tensor, "*n 3"]) -> Tensor:
    """Barycentrics of the point of triangle ``abc`` that is nearest to ``p`` (Ericson, Real-Time Collision Detection, 5.1.5)."""

    def dot(x: Tensor, y: Tensor) -> Tensor:
        return (x * y).sum(-1)

    def safe(numerator: Tensor, denominator: Tensor) -> Tensor:
        return numerator / torch.where(denominator == 0, torch.ones_like(denominator), denominator)

    ab, ac = b - a, c - a
    d1, d2 = dot(ab, p - a), dot(ac, p - a)
    d3, d4 = dot(ab, p - b), dot(ac, p - b)
    d5, d6 = dot(ab, p - c), dot(ac, p - c)
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    v, w = safe(vb, va + vb + vc), safe(vc, va + vb + vc)
    t_ab, t_ac, t_bc = safe(d1, d1 - d3), safe(d2, d2 - d6), safe(d4 - d3, (d4 - d3) + (d5 - d6))
    zero, one = torch.zeros_like(v), torch.ones_like(v)
    # later rows win: the tests are in Ericson's order, so they are applied from the last to the first
    regions = (
        ((va <= 0) & (d4 - d3 >= 0) & (d5 - d6 >= 0), 1 - t_bc, t_bc),
        ((vb <= 0) & (d2 >= 0) & (d6 <= 0), zero, t_ac),
        ((d6 >= 0) & (d5 <= d6), zero, one),
        ((vc <= 0) & (d1 >= 0) & (d3 <= 0), t_ab, zero),
        ((d3 >= 0) & (d4 <= d3), one, zero),
        ((d1 <= 0) & (d2 <= 0), zero, zero),
    )
    for condition, v_there, w_there in regions:
        v, w = torch.where(condition, v_there, v), torch.where(condition, w_there, w)
    return torch.stack([1 - v - w, v, w], -1)


def closest_points(
    points: Float[Tensor, "n 3"], vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]
) -> tuple[Int[Tensor, "n"], Float[Tensor, "n 3"]]:
    """Nearest face (-1 if all faces are slivers; the lowest index on ties) and barycentrics."""
    triangles = vertices[faces]
    usable = (~is_sliver(triangles)).nonzero()[:, 0]
    face = torch.full((len(points),), -1, dtype=torch.long, device=points.device)
    bary = torch.zeros_like(points)
    if len(usable) == 0:
        return face, bary
    a, b, c = triangles[usable].unbind(-2)
    for start in range(0, len(points), step := max(1, _CHUNK // len(usable))):
        p = points[start : start + step, None]
        w = closest_on_triangle(p, a[None], b[None], c[None])
        nearest = w[..., :1] * a + w[..., 1:2] * b + w[..., 2:] * c
        best = (p - nearest).square().sum(-1).argmin(-1)
        face[start : start + step] = usable[best]
        bary[start : start + step] = w.gather(1, best[:, None, None].expand(-1, 1, 3))[:, 0]
    return face, bary


def solid_angle(a: Float[Tensor, "*n 3"], b: Float[Tensor, "*n 3"], c: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
    """Signed solid angle [sr] of triangle ``abc`` seen from the origin (van Oosterom and Strackee 1983); 0 if it passes through it."""
    la, lb, lc = a.norm(dim=-1), b.norm(dim=-1), c.norm(dim=-1)
    numerator = (a * torch.linalg.cross(b, c)).sum(-1)
    denominator = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (a * c).sum(-1) * lb
    return torch.where(numerator == 0, torch.zeros_like(numerator), 2 * torch.atan2(numerator, denominator))


def winding_numbers(points: Float[Tensor, "n 3"], vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "n"]:
    """Sum of the solid angles of all faces over 4π (Jacobson et al. 2013)."""
    triangles = vertices[faces]
    out = torch.zeros_like(points[:, 0])
    for start in range(0, len(points), step := max(1, _CHUNK // len(faces))):
        a, b, c = (triangles[None] - points[start : start + step, None, None]).unbind(-2)
        out[start : start + step] = solid_angle(a, b, c).sum(-1) / (4 * math.pi)
    return out
