"""The last step of carving: what still penetrates is moved apart, exactly measured and as locally as it can be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.contact import PenetrationPairs
from huddle3d.geometry import edges
from huddle3d.people._fill import fill_colours

__all__ = ["SeparateConfig", "separate"]


@dataclass(frozen=True)
class SeparateConfig:
    """Rounds of exact separation."""

    rounds: int = 12
    """At most this many; 0 leaves the meshes as the losses made them."""
    tolerance: float = 0.001
    """Penetration that is left alone [m]."""
    overshoot: float = 0.0005
    """Gap that a resolved vertex gets [m]."""
    reach_edges: float = 4.0
    """Over how many edges a displacement fades."""


def separate(
    vertices: Float[Tensor, "K V 3"], faces: Int[Tensor, "F 3"], rate: Float[Tensor, "K V"], config: SeparateConfig
) -> Float[Tensor, "K V 3"]:
    """Push penetrating surfaces apart until no vertex lies deeper than the tolerance inside another person.

    Each penetrating vertex and its nearest point on the other surface share the way, the one with the larger ``rate`` taking more of
    it (a hand keeps its shape, the belly gives way), and the displacement fades over the surface around.

    Args:
        vertices: world [m].
        faces: of one body.
        rate: how willingly each vertex moves, in [0, 1].
        config: rounds and tolerances.

    Degenerate: a body part that lies across a whole limb of another person may be left inside when the rounds end.
    """
    now, pairs = vertices, edges(faces)
    strength = torch.ones(len(pairs), dtype=vertices.dtype, device=vertices.device)
    for _ in range(config.rounds):
        found = PenetrationPairs.freeze(now, faces, config.tolerance)
        depth = -found.distances(now)
        deep = depth > config.tolerance
        if not bool(deep.any()):
            break
        now = now + _displacement(found, depth, deep, now, rate, pairs, strength, config)
    return now


def _displacement(
    found: PenetrationPairs,
    depth: Float[Tensor, "n"],
    deep: Tensor,
    vertices: Float[Tensor, "K V 3"],
    rate: Float[Tensor, "K V"],
    pairs: Int[Tensor, "e 2"],
    strength: Float[Tensor, "e"],
    config: SeparateConfig,
) -> Float[Tensor, "K V 3"]:
    K, V = vertices.shape[:2]
    willing = rate.reshape(-1) + 0.05
    vertex, corners, bary = found.vertex[deep], found.corners[deep], found.bary[deep]
    mine, theirs = willing[vertex], (willing[corners] * bary).sum(-1)
    way = (depth[deep] + config.overshoot)[:, None] * found.direction[deep]
    total, weight = vertices.new_zeros(K * V, 3), vertices.new_zeros(K * V)
    share = (mine / (mine + theirs))[:, None]
    # weighted by the way's length: where several vertices push one corner, the deepest decides
    w = way.norm(dim=-1)
    total.index_add_(0, vertex, w[:, None] * share * way)
    weight.index_add_(0, vertex, w)
    total.index_add_(0, corners.reshape(-1), -((w[:, None] * bary)[..., None] * ((1 - share) * way)[:, None]).reshape(-1, 3))
    weight.index_add_(0, corners.reshape(-1), (w[:, None] * bary).reshape(-1))
    known = weight > 0
    target = torch.where(known[:, None], total / weight.clamp_min(1e-12)[:, None], 0.0).reshape(K, V, 3)
    held = torch.where(known, 100.0, 1 / config.reach_edges**2).reshape(K, V)
    moved = torch.zeros_like(vertices)
    for k in range(K):
        if bool(known.reshape(K, V)[k].any()):
            moved[k] = fill_colours(pairs, strength, target[k], held[k])
    return moved
