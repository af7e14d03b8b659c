"""Hoods: a shell around the head, open before the face, or a soft roll that lies on the back."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import edges, mean_neighbour
from huddle3d.synthesis.clothes.clothing import Fit, hold_off, press_flat
from huddle3d.synthesis.clothes.cutting import Sheet
from huddle3d.synthesis.clothes.loose import Wearer
from huddle3d.synthesis.noise import value_noise
from huddle3d.synthesis.spec import GarmentSpec

__all__ = ["grow_hood"]

_FRONT_DEG, _BACK_DEG = 68.0, 200.0
_HAIR_M = 0.02


def _neck(wearer: Wearer) -> Float[Tensor, "3"]:
    """Where a hood is sewn on: the middle of the collar."""
    anatomy = wearer.anatomy
    return anatomy.joint("neck01") + torch.tensor([0.0, 0.0, 0.01]) * anatomy.size


def _grid(rows: int, columns: int, *, closed: bool) -> Int[Tensor, "f 3"]:
    """Faces of a grid; ``closed`` joins the last row to the first."""
    i = torch.arange(rows if closed else rows - 1)
    a = (i[:, None] * columns + torch.arange(columns - 1)).reshape(-1)
    b = (((i + 1) % rows)[:, None] * columns + torch.arange(columns - 1)).reshape(-1)
    return torch.cat([torch.stack([a, b, a + 1], -1), torch.stack([a + 1, b, b + 1], -1)])


def _shell(wearer: Wearer, garment: GarmentSpec) -> tuple[Tensor, Tensor]:
    """Around the head: half planes through the two sides of the neck, from before the forehead over the crown to the nape."""
    rows, columns = 27, 33
    a = torch.deg2rad(torch.linspace(_FRONT_DEG, _BACK_DEG, rows))[:, None].expand(rows, columns)
    b = torch.deg2rad(torch.linspace(-86, 86, columns)).expand(rows, columns)
    way = torch.stack([b.sin(), b.cos() * a.sin(), b.cos() * a.cos()], -1).reshape(-1, 3)
    neck = _neck(wearer)
    body = wearer.anatomy.body
    head = wearer.anatomy.vertices[wearer.anatomy.is_region(body.regions, "head", "face", "neck")] - neck
    support = (way @ head.T).amax(1) + _HAIR_M + garment.offset_m
    between = way @ way.T
    r = torch.where(between > 0.3, support / between.clamp_min(0.3), math.inf).amin(1)
    low = (way[:, 1] < 0.1) & (way[:, 2] < 0)  # behind the nape it goes into the collar
    r = torch.where(low, r.clamp_max(0.115 * wearer.anatomy.size), r)
    rest = neck + way * (r * (1 + 0.03 * value_noise(way / 0.25, garment.seed)))[:, None]
    return rest, _grid(rows, columns, closed=False)


def _roll(wearer: Wearer, garment: GarmentSpec) -> tuple[Tensor, Tensor]:
    """On the back: a tube around the nape, thick behind and thin in front, leaning down the back."""
    rows, columns = 20, 33
    s = wearer.anatomy.size
    b = torch.deg2rad(torch.linspace(-118, 118, columns))
    swell = torch.cos(b / 1.35).clamp_min(0) ** 0.8
    c = 2 * math.pi * torch.arange(rows) / rows
    back = torch.stack([b.sin(), 0 * b, -b.cos()], -1)
    lean = torch.nn.functional.normalize(0.75 * back + torch.tensor([0.0, -1.0, 0.0]) * (0.35 + 0.65 * swell)[:, None], dim=-1)
    off = torch.nn.functional.normalize(back + torch.tensor([0.0, 0.75, 0.0]), dim=-1)
    centre = (
        _neck(wearer)
        + torch.tensor([0.0, -0.005, -0.005])
        + (0.078 * s * back * torch.tensor([1.0, 1.0, 0.92]))
        + off * 0.012
        + lean * (0.03 * swell)[:, None] * s
    )
    wide, thick = (0.014 + 0.052 * swell) * s, (0.01 + 0.017 * swell) * s
    crease = 1 + 0.10 * value_noise(torch.stack([b.expand(rows, -1), 2 * c[:, None].expand(rows, columns)], -1) / 0.7, garment.seed)
    rest = centre + (c.cos()[:, None] * wide * crease)[..., None] * lean + (c.sin()[:, None] * thick * crease)[..., None] * off
    return rest.reshape(-1, 3), _grid(rows, columns, closed=True)


def grow_hood(garment: GarmentSpec, wearer: Wearer, fit: Fit) -> Sheet:
    """The hood of a garment, posed; it moves with head and neck, or with the back.

    Args:
        garment: with a hood.
        wearer: the body.
        fit: posed skins.
    """
    up = garment.hood == "up"
    rest, faces = _shell(wearer, garment) if up else _roll(wearer, garment)
    inside = torch.linalg.cross(rest[faces[:, 1]] - rest[faces[:, 0]], rest[faces[:, 2]] - rest[faces[:, 0]])
    middle = _neck(wearer) + torch.tensor([0.0, 0.1, 0.0]) if up else rest.mean(0)
    if up and float(((rest[faces].mean(1) - middle) * inside).sum()) < 0:
        faces = faces[:, [0, 2, 1]]
    if not up:  # outwards of a tube: a signed volume tells
        a, b, c = rest[faces].unbind(1)
        if float((torch.linalg.cross(a, b) * c).sum()) < 0:
            faces = faces[:, [0, 2, 1]]
    body = wearer.anatomy.body
    names = ("head", "neck") if up else ("neck", "upper_back", "chest", "left_shoulder", "right_shoulder")
    rows = wearer.anatomy.is_region(body.regions, *names).nonzero()[:, 0]
    moved, pairs = wearer.transforms(rest, rows), edges(faces)
    for _ in range(12):
        moved = 0.5 * (moved + mean_neighbour(moved, pairs))
    posed = (moved[:, :9].unflatten(1, (3, 3)) @ rest[..., None])[..., 0] + moved[:, 9:]
    wanted = torch.full((len(rest),), garment.offset_m + (0.006 if up else 0.016))
    return Sheet(rest, press_flat(hold_off(posed, wanted, fit), fit), faces)
