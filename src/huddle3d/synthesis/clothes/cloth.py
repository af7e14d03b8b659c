"""Loose cloth finds its rest: edges that hardly stretch but buckle, gravity, and surfaces that it may not enter.

Position-based dynamics after Müller et al. 2007 with averaged (Jacobi) corrections: no order of vertices matters, so the result is the same on
every run. Coarse meshes (2-3 cm edges) are meant; folds finer than that are added afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import edges

__all__ = ["bends", "settle"]

_FALL_M = 0.0008
"""Fall in one round [m]."""
_KEEP = 0.88
"""Share of a round's motion that goes on in the next."""
_PUSH_BACK = 0.25
"""Strength against compression, relative to stretching: cloth buckles."""


def bends(faces: Int[Tensor, "f 3"]) -> Int[Tensor, "b 2"]:
    """The two corners opposite each inner edge."""
    corner = torch.cat([faces[:, [0, 1, 2]], faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]])
    low, high = corner[:, :2].amin(1), corner[:, :2].amax(1)
    code, order = (low * (int(faces.max()) + 1) + high).sort(stable=True)
    twin = code[1:] == code[:-1]
    return torch.stack([corner[order[:-1], 2][twin], corner[order[1:], 2][twin]], -1)


class _Springs:
    """Distances to keep, for all vertices at once."""

    def __init__(self, rest: Tensor, pairs: Tensor, free: Tensor, stretch: float, push: float) -> None:
        self.a, self.b = pairs[:, 0].contiguous(), pairs[:, 1].contiguous()
        self.length = (rest[self.a] - rest[self.b]).norm(dim=-1)
        wa, wb = free[self.a], free[self.b]
        total = (wa + wb).clamp_min(1e-6)
        self.wa, self.wb = (wa / total)[:, None], (wb / total)[:, None]
        self.stretch, self.push = stretch, push

    def add(self, x: Tensor, out: Tensor) -> None:
        d = x[self.b] - x[self.a]
        now = d.norm(dim=-1)
        wrong = now - self.length
        pull = torch.where(wrong > 0, self.stretch * wrong, self.push * wrong) / now.clamp_min(1e-6)
        d = d * pull[:, None]
        out.index_add_(0, self.a, self.wa * d)
        out.index_add_(0, self.b, -self.wb * d)


def settle(
    rest: Float[Tensor, "v 3"],
    start: Float[Tensor, "v 3"],
    faces: Int[Tensor, "f 3"],
    free: Float[Tensor, "v"],
    collide: Callable[[Float[Tensor, "v 3"]], Float[Tensor, "v 3"]],
    *,
    rounds: int = 36,
    passes: int = 4,
    fall_m: float = _FALL_M,
) -> Float[Tensor, "v 3"]:
    """Let a cloth hang.

    Args:
        rest: the cut [m]: its edge lengths are kept.
        start: where it begins, near the body [m].
        faces: triangles.
        free: 0 = pinned at ``start`` … 1 = free.
        collide: moves points out of what they may not enter.
        rounds: steps of gravity.
        passes: corrections of lengths in each.
        fall_m: fall in one round [m]; 0 without gravity.
    """
    pairs = edges(faces)
    springs = [_Springs(rest, pairs, free, 1.0, _PUSH_BACK), _Springs(rest, bends(faces), free, 0.2, 0.12)]
    count = torch.zeros(len(rest)).index_add_(0, pairs.reshape(-1), torch.ones(pairs.numel())).clamp_min(1)
    step = (1.6 / count)[:, None]  # averaged over the edges of each vertex, a little over-relaxed
    loose = free[:, None]
    gravity = torch.tensor([0.0, -fall_m, 0.0]) * loose
    x, before = start, start
    for k in range(rounds):
        moved = x + _KEEP * (x - before) * loose + gravity
        before = x
        x = moved
        for _ in range(passes):
            out = torch.zeros_like(x)
            for s in springs:
                s.add(x, out)
            x = x + step * out
        if k % 3 == 2 or k == rounds - 1:
            x = torch.lerp(start, collide(x), loose.clamp_max(1)) if float(free.min()) < 1 else collide(x)
    return x
