"""Where on a cloth a place is: coordinates around and along trunk, sleeves and legs, so that stripes keep their width all around the body."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import edges, mean_neighbour
from huddle3d.synthesis.clothes.anatomy import Anatomy

__all__ = ["LEFT_ARM", "LEFT_LEG", "RIGHT_ARM", "RIGHT_LEG", "TRUNK", "cloth_plane", "limb_groups", "seam_weights"]

TRUNK, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG = range(5)
_TRUNK_DEPTH = 0.66
"""Depth of the trunk's cylinder over its width."""
_ROUND_M = {TRUNK: 0.17, LEFT_ARM: 0.052, RIGHT_ARM: 0.052, LEFT_LEG: 0.075, RIGHT_LEG: 0.075}
"""Half width of the cylinder on which each part is unrolled [m]; the trunk's is shallower than wide."""


def limb_groups(anatomy: Anatomy, regions: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
    """Trunk (with head), arm or leg that each region belongs to."""
    table = torch.zeros(len(anatomy.body.region_names), dtype=torch.long)
    for i, name in enumerate(anatomy.body.region_names):
        left = name.startswith("left")
        if name.endswith(("upper_arm", "forearm", "hand")):
            table[i] = LEFT_ARM if left else RIGHT_ARM
        elif name.endswith(("thigh", "shin", "foot")):
            table[i] = LEFT_LEG if left else RIGHT_LEG
    return table[regions]


def _bones(anatomy: Anatomy, group: int) -> list[tuple[Tensor, Tensor]]:
    """Ends of the bones along a part, from above."""
    if group == TRUNK:
        chest = anatomy.vertices[anatomy.is_region(anatomy.body.regions, "chest", "upper_back", "belly", "lower_back"), 2]
        top = torch.stack([torch.zeros(()), anatomy.joint("neck01")[1], 0.6 * chest.amin() + 0.4 * chest.amax()])
        return [(top, top - torch.tensor([0.0, 1.0, 0.0]))]
    side = ".L" if group in (LEFT_ARM, LEFT_LEG) else ".R"
    names = ("upperarm01", "lowerarm01", "wrist") if group in (LEFT_ARM, RIGHT_ARM) else ("upperleg01", "lowerleg01", "foot")
    a, b, c = (anatomy.joint(n + side) for n in names)
    return [(a, b), (b, c)]


def _around_bones(points: Tensor, bones: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Offsets from the bones to the side and to the front, and the way along them [m]; at a joint they are mixed."""
    aside, ahead, along = torch.zeros(3, len(points)).unbind(0)
    start = 0.0
    left = torch.ones(len(points))
    for n, (a, b) in enumerate(bones):
        down = torch.nn.functional.normalize(b - a, dim=0)
        forward = torch.tensor([0.0, 0.0, 1.0])
        forward = torch.nn.functional.normalize(forward - (forward @ down) * down, dim=0)
        p = points - a
        length = float((b - a).norm())
        # The first bone's share falls off around the joint that it shares with the next.
        share = left * (((length + 0.06 - p @ down) / 0.12).clamp(0, 1) if n < len(bones) - 1 else 1.0)
        left = left - share
        aside = aside + share * (p @ torch.linalg.cross(forward, down))
        ahead = ahead + share * (p @ forward)
        along = along + share * (start + p @ down)
        start += length
    return aside, ahead, along


def _share_around(aside: Tensor, ahead: Tensor, radius: float, depth: float) -> tuple[Tensor, float]:
    """Share of the way around an ellipse, -0.5 … 0.5 from the front, and the length of that way [m]."""
    t = torch.linspace(0, math.pi, 181)
    piece = torch.stack([radius * t.sin(), radius * depth * t.cos()], -1)
    length = torch.cat([torch.zeros(1), (piece[1:] - piece[:-1]).norm(dim=-1).cumsum(0)])
    at = torch.atan2(aside / radius, ahead / (radius * depth)) * (180 / math.pi)
    low = at.abs().floor().long().clamp_max(179)
    share = torch.lerp(length[low], length[low + 1], at.abs() - low) / (2 * length[-1])
    return share * torch.sign(at), float(2 * length[-1])


def seam_weights(groups: Int[Tensor, "v"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "v 5"]:
    """How much each vertex belongs to each part, spread over neighbours: where the largest changes is a smooth seam."""
    weights = torch.nn.functional.one_hot(groups, 5).float()
    pairs = edges(faces)
    for _ in range(5):
        weights = 0.5 * (weights + mean_neighbour(weights, pairs))
    return weights


def cloth_plane(anatomy: Anatomy, points: Float[Tensor, "n 3"], groups: Int[Tensor, "n"], *, period_m: float = 0.0) -> Float[Tensor, "n 2"]:
    """Coordinates around and along the part of the body that each place of a cloth covers [m].

    Args:
        anatomy: the body at rest.
        points: places on the cloth at rest.
        groups: part of the body of each (:func:`limb_groups`).
        period_m: stretch the way around so that it is a multiple of this: a pattern then closes behind.
    """
    out = torch.zeros(len(points), 2)
    for group, radius in _ROUND_M.items():
        mine = (groups == group).nonzero()[:, 0]
        if not len(mine):
            continue
        aside, ahead, along = _around_bones(points[mine], _bones(anatomy, group))
        share, turn = _share_around(aside, ahead, radius, 1.0 if group != TRUNK else _TRUNK_DEPTH)
        if period_m > 0:
            turn = max(1, round(turn / period_m)) * period_m
        out[mine] = torch.stack([share * turn, -along], -1)
    return out
