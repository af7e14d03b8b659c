"""Where on a cloth a place is: coordinates around and along trunk, sleeves and legs, so that stripes keep their width all around the body."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import edges, mean_neighbour
from huddle3d.synthesis.anatomy import Anatomy

__all__ = ["LEFT_ARM", "LEFT_LEG", "RIGHT_ARM", "RIGHT_LEG", "TRUNK", "cloth_plane", "limb_groups", "seam_weights"]

TRUNK, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG = range(5)
_ROUND_M = {TRUNK: 0.15, LEFT_ARM: 0.052, RIGHT_ARM: 0.052, LEFT_LEG: 0.075, RIGHT_LEG: 0.075}
"""Radius of the cylinder on which each part is unrolled [m]."""


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


def _axis(anatomy: Anatomy, group: int) -> tuple[Tensor, Tensor]:
    """A point and the direction downwards along the part."""
    if group == TRUNK:
        spine = anatomy.joint("spine03")
        return torch.stack([torch.zeros(()), spine[1], spine[2]]), torch.tensor([0.0, -1.0, 0.0])
    side = ".L" if group in (LEFT_ARM, LEFT_LEG) else ".R"
    first, last = ("upperarm01", "wrist") if group in (LEFT_ARM, RIGHT_ARM) else ("upperleg01", "foot")
    a, b = anatomy.joint(first + side), anatomy.joint(last + side)
    return a, torch.nn.functional.normalize(b - a, dim=0)


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
        origin, down = _axis(anatomy, group)
        ahead = torch.tensor([0.0, 0.0, 1.0])
        ahead = torch.nn.functional.normalize(ahead - (ahead @ down) * down, dim=0)
        aside = torch.linalg.cross(ahead, down)
        p = points[mine] - origin
        angle = torch.atan2(p @ aside, p @ ahead)
        turn = 2 * math.pi * radius
        if period_m > 0:
            turn = max(1, round(turn / period_m)) * period_m
        out[mine] = torch.stack([angle * (turn / (2 * math.pi)), -(p @ down)], -1)
    return out
