"""Dressed people who touch: cloth of two people that crosses is pressed back to the surface in the middle between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.contact import MeshQuery, overlapping_pairs
from huddle3d.geometry import edges, mean_neighbour
from huddle3d.scene import PersonMesh

__all__ = ["keep_apart"]

_GAP_M = 0.0008
_DEEPEST_M = 0.025
"""Points deeper than this stay: no cloth does that, the bodies themselves went wrong or the depth is measured through a sleeve."""
_ROUNDS = 8


class _Surface:
    """One person's mesh while it is moved."""

    def __init__(self, mesh: PersonMesh) -> None:
        self.x, self.faces = mesh.vertices.clone(), mesh.faces
        self.query = MeshQuery(self.x.clone(), mesh.faces)
        self.edges: Int[Tensor, "e 2"] = edges(mesh.faces)

    def moved(self, push: Float[Tensor, "v 3"]) -> None:
        """Move, and carry the neighbours a little with it, so that no single vertex is dented."""
        hit = push.square().sum(-1, keepdim=True) > 0
        spread = push
        for _ in range(2):
            spread = torch.where(hit, push, 0.8 * mean_neighbour(spread, self.edges))
        self.x = self.x + spread
        self.query.refit(self.x)


def _push(points: Tensor, other: MeshQuery, share: float) -> tuple[Tensor, float]:
    """How points move to leave another surface by a share of their depth, and the largest depth."""
    low, high = other.vertices.amin(0) - _GAP_M, other.vertices.amax(0) + _GAP_M
    near = ((points > low) & (points < high)).all(1).nonzero()[:, 0]
    push = torch.zeros_like(points)
    if not len(near):
        return push, 0.0
    sd, closest = other.signed_closest(points[near], max_distance=0.01)
    inside = sd < 0
    if not bool(inside.any()):
        return push, 0.0
    way = torch.nn.functional.normalize(closest.point - points[near], dim=-1)
    depth = torch.where(inside & (sd > -_DEEPEST_M), -sd + _GAP_M, 0.0)
    push[near] = way * (share * depth)[:, None]
    return push, float((-sd).max())


def keep_apart(meshes: Sequence[PersonMesh], *, floor: float = 0.0) -> list[PersonMesh]:
    """Press people's outer surfaces out of each other; who touches nobody stays as he is, to the last bit.

    Both give way by half in each of a few rounds, the rest by whole in the last ones.

    Args:
        meshes: dressed people in one world [m].
        floor: height below which nothing is pushed [m].
    """
    surfaces: dict[int, _Surface] = {}
    for i, j in overlapping_pairs([m.vertices for m in meshes]):
        a, b = (surfaces.setdefault(k, _Surface(meshes[k])) for k in (i, j))
        best = (math.inf, a.x, b.x)
        for k in range(_ROUNDS + 1):
            share = 0.5 if k < _ROUNDS - 3 else 1.0
            from_a, depth_a = _push(a.x, b.query, share)
            from_b, depth_b = _push(b.x, a.query, share)
            best = min(best, (max(depth_a, depth_b), a.x, b.x), key=lambda state: state[0])
            if depth_a == depth_b == 0 or k == _ROUNDS or max(depth_a, depth_b) > 2 * best[0] + 0.01:
                break
            # In the last rounds one gives way after the other: both at once would leave a gap.
            if depth_a > 0 and (share < 1 or k % 2 or depth_b == 0):
                a.moved(from_a)
            if depth_b > 0 and (share < 1 or not k % 2 or depth_a == 0):
                b.moved(from_b)
        a.x, b.x = best[1:]
        a.query.refit(a.x)
        b.query.refit(b.x)
    out = list(meshes)
    for k, surface in surfaces.items():
        if not torch.equal(surface.x, meshes[k].vertices):
            x = surface.x
            out[k] = replace(meshes[k], vertices=torch.cat([x[:, :1], x[:, 1:2].clamp_min(floor), x[:, 2:]], -1))
    return out
