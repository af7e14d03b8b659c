"""Loose cuts: cloth designed away from the body at rest, hung on the posed body, and left to gravity.

Sleeves and legs widen along the limb. Coats, dresses and wide skirts end at the waist in a ring of edges, from which a panel is drawn down around
both legs: its outline is the convex hull of the body, never narrower below than above, widened by the cut and waved by its folds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from huddle3d.geometry import edges, mean_neighbour, vertex_normals
from huddle3d.synthesis.clothes.anatomy import Anatomy
from huddle3d.synthesis.clothes.cutting import Sheet, clip, smooth
from huddle3d.synthesis.clothes.hanging import Motion
from huddle3d.synthesis.clothes.patterning import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, TRUNK, limb_groups
from huddle3d.synthesis.spec import GarmentSpec

__all__ = ["Cut", "Wearer", "design", "has_panel"]

_RING_M = 0.032
_STITCH_M = 0.014
_ANGLES = 48


@dataclass(frozen=True)
class Wearer:
    """A body at rest and in the scene."""

    anatomy: Anatomy
    posed: Float[Tensor, "V 3"]
    """Its skin [m]."""
    still: Motion
    moving: Motion

    def transforms(self, points: Float[Tensor, "n 3"], candidates: Int[Tensor, "m"]) -> Float[Tensor, "n 12"]:
        """Rotation and shift from rest to the scene at each point: those of the nearest of some skin vertices."""
        skin = self.anatomy.vertices[candidates]
        _, near = KDTree(skin.double().numpy()).query(points.double().numpy())
        weights = self.anatomy.body.surface.weights[candidates[torch.from_numpy(near)]]
        turn = self.moving.R @ self.still.R.transpose(1, 2)
        shift = self.moving.t - (turn @ self.still.t[..., None])[..., 0]
        return weights @ torch.cat([turn.flatten(1), shift], 1)


@dataclass(frozen=True)
class Cut:
    """A garment as it is sewn, and as it first hangs on the posed body."""

    sheet: Sheet
    group: Int[Tensor, "v"]
    """Part of the body that each vertex belongs to (:mod:`patterning`)."""
    panel: Bool[Tensor, "v"]
    """Vertices of the panel across both legs."""
    height: Float[Tensor, "v"]
    """Distance from the skin at rest that the cut asks for [m]."""
    free: Float[Tensor, "v"]
    """0 where the cloth is held by the body … 1 where it hangs."""


def has_panel(garment: GarmentSpec) -> bool:
    """Whether the garment hangs across both legs."""
    return garment.kind == "coat" or (garment.kind == "skirt" and garment.loose_m > 0)


def waist_level(garment: GarmentSpec, anatomy: Anatomy) -> float:
    """Height at which the panel begins [m]."""
    return float(anatomy.joint("upperleg01.L")[1]) + (0.05 if garment.kind == "coat" else 0.03) * anatomy.size


def hem_level(garment: GarmentSpec, anatomy: Anatomy) -> float:
    """Height at which the panel ends [m]: hip at length 0, ankle at 1."""
    hip, ankle = (float(anatomy.joint(n)[1]) for n in ("upperleg01.L", "foot.L"))
    return hip - (0.06 + 0.92 * garment.length) * (hip - ankle) + 0.02


def _hull(anatomy: Anatomy, below_arms: Tensor, height: float) -> tuple[Tensor, Tensor]:
    """Radius of the convex hull of the trunk and legs around a level, at ``_ANGLES`` angles from +z towards +x, and its centre (x, z)."""
    skin = anatomy.vertices[below_arms]
    slab = skin[(skin[:, 1] - height).abs() < 0.035][:, [0, 2]]
    spine = anatomy.joint("spine05")
    centre = torch.stack([torch.zeros(()), spine[2]])
    angle = torch.arange(_ANGLES) * (2 * math.pi / _ANGLES)
    way = torch.stack([angle.sin(), angle.cos()], -1)
    support = ((slab - centre) @ way.T).amax(0)
    between = torch.cos(angle[:, None] - angle)
    return torch.where(between > 0.2, support / between.clamp_min(0.2), math.inf).amin(1), centre


def _at_waist(sheet: Sheet, level: float, arms: Bool[Tensor, "v"]) -> tuple[Sheet, Int[Tensor, "n"]]:
    """The part above a level with its lowest border: a ring of vertices at least ``_STITCH_M`` apart, in the order of the faces above it."""
    sheet = clip(sheet, torch.where(arms, 1.0, sheet.rest[:, 1] - level))
    on = ((sheet.rest[:, 1] - level).abs() < 1e-5).tolist()
    pairs = torch.cat([sheet.faces[:, [0, 1]], sheet.faces[:, [1, 2]], sheet.faces[:, [2, 0]]])
    stride = len(sheet.rest)
    border = pairs[~torch.isin(pairs[:, 0] * stride + pairs[:, 1], pairs[:, 1] * stride + pairs[:, 0])]
    after = {a: b for a, b in border.tolist() if on[a] and on[b]}
    at = first = min(after)
    keep, same = [first], torch.arange(stride)
    while (at := after[at]) != first:
        if float((sheet.rest[at] - sheet.rest[keep[-1]]).norm()) < _STITCH_M:
            same[at] = keep[-1]
        else:
            keep.append(at)
    faces = same[sheet.faces]
    good = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    used, faces = torch.unique(faces[good], return_inverse=True)
    return Sheet(sheet.rest[used], sheet.posed[used], faces), torch.searchsorted(used, torch.tensor(keep))


def _with_panel(
    top: Sheet, ring: Int[Tensor, "n"], garment: GarmentSpec, wearer: Wearer, tops: Tensor
) -> tuple[Sheet, Bool[Tensor, "v"], Int[Tensor, "m"]]:
    """Rings below the waist, joined to it. ``tops``: heights of the cut at the vertices of ``top``."""
    anatomy = wearer.anatomy
    groups = limb_groups(anatomy, anatomy.body.regions)
    rows = (~torch.isin(groups, torch.tensor([LEFT_ARM, RIGHT_ARM]))).nonzero()[:, 0]
    low = hem_level(garment, anatomy)
    start = top.rest[ring]
    spine = anatomy.joint("spine05")
    begin = torch.atan2(start[:, 0], start[:, 2] - spine[2])
    # Columns go over from where the ring's vertices are to even steps around the body.
    step = (torch.roll(start, -1, 0) - start)[:, [0, 2]].norm(dim=-1)
    turn = torch.cat([torch.zeros(1), step.cumsum(0)[:-1]]) / step.sum()
    sign = 1.0 if float(torch.sin(torch.roll(begin, -1) - begin).sum()) > 0 else -1.0
    even = begin[0] + sign * 2 * math.pi * turn
    even = even + torch.atan2(torch.sin(begin - even).mean(), torch.cos(begin - even).mean())
    drift = torch.atan2(torch.sin(begin - even), torch.cos(begin - even))
    count = max(2, round((float(start[:, 1].mean()) - low) / _RING_M))
    top_r = (start[:, [0, 2]] - torch.stack([torch.zeros(()), spine[2]])).norm(dim=-1)
    generator = torch.Generator().manual_seed(garment.seed)
    waves, phase = int(torch.randint(6, 11, (), generator=generator)), 6.28 * torch.rand(3, generator=generator)
    widest = torch.zeros(_ANGLES)
    rings = []
    for k in range(1, count + 1):
        t = k / count
        y = start[:, 1] + (low - start[:, 1]) * t
        hull, centre = _hull(anatomy, rows, float(y.mean()))
        widest = torch.maximum(widest * 0.995, hull) if garment.loose_m > 0.02 else torch.maximum(widest * 0.97, hull)
        angle = even + drift * max(0.0, 1 - 3 * t)
        at = (angle / (2 * math.pi) * _ANGLES) % _ANGLES
        i = at.long() % _ANGLES
        r = torch.lerp(widest[i], widest[(i + 1) % _ANGLES], at - at.floor())
        flare = min(1.0, (float(start[:, 1].mean()) - float(y.mean())) / 0.55)
        wave = torch.sin(waves * angle + phase[0] + 1.5 * torch.sin(2 * angle + phase[1]))
        r = (
            r
            + garment.offset_m
            + tops[ring].mean()
            + 2 * garment.loose_m * flare
            + (2.2 * garment.folds_m + 0.25 * garment.loose_m) * min(1.0, 1.4 * flare) * wave
        )
        blend = min(1.0, 4 * t)
        r = torch.lerp(torch.maximum(top_r, torch.zeros(())), r, blend)
        rings.append(torch.stack([centre[0] + r * angle.sin(), y, centre[1] + r * angle.cos()], -1))
    n, first = len(ring), len(top.rest)
    rows_of = torch.cat([ring[None], first + torch.arange(n * count).reshape(count, n)])
    a, b = rows_of[:-1], torch.roll(rows_of[:-1], -1, 1)
    c, d = rows_of[1:], torch.roll(rows_of[1:], -1, 1)
    # The ring follows the border's own direction, so the neighbouring face runs along it the same way and the panel's the other way.
    faces = torch.cat([torch.stack([b, a, c], -1).reshape(-1, 3), torch.stack([b, c, d], -1).reshape(-1, 3)])
    rest = torch.cat([top.rest, *rings])
    sheet = Sheet(rest, torch.cat([top.posed, torch.zeros(n * count, 3)]), torch.cat([top.faces, faces]))
    return sheet, torch.arange(len(rest)) >= first, rows


def _heights(garment: GarmentSpec, anatomy: Anatomy, points: Tensor, group: Tensor) -> Tensor:
    """Distance from the skin that the cut asks for [m]."""
    arm = (group == LEFT_ARM) | (group == RIGHT_ARM)
    leg = (group == LEFT_LEG) | (group == RIGHT_LEG)
    height = torch.full((len(points),), garment.offset_m)
    if garment.kind in ("shirt", "coat"):
        drop = (float(anatomy.joint("neck01")[1]) - points[:, 1]) / (0.5 * anatomy.size)
        along = (anatomy.arm(points) / 2).clamp(0, 1)
        return height + torch.where(
            arm, garment.loose_m * (1.1 * along - 0.1).clamp_min(0) ** 0.7, (0.012 + 0.7 * garment.loose_m) * drop.clamp(0, 1)
        )
    if garment.kind == "trousers":
        along = ((anatomy.leg(points) + 0.15) / 2).clamp(0, 1)
        return height + torch.where(leg, 0.006 + garment.loose_m * along, 0.004)
    return height


def _room(height: Tensor, points: Tensor, group: Tensor, wearer: Wearer, skin_group: Tensor, *, posed: bool) -> Tensor:
    """Sleeves and legs keep to less than half of the way to the other leg, to the trunk or to the other arm."""
    skin = wearer.posed if posed else wearer.anatomy.vertices
    out = height.clone()
    for mine in (LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG):
        here = group == mine
        if not bool(here.any()):
            continue
        other = {LEFT_LEG: (RIGHT_LEG,), RIGHT_LEG: (LEFT_LEG,)}.get(mine, tuple(g for g in (LEFT_LEG, RIGHT_LEG, TRUNK)))
        rows = torch.isin(skin_group, torch.tensor(other))
        distance, _ = KDTree(skin[rows].double().numpy()).query(points[here].double().numpy())
        gap = torch.from_numpy(distance).to(points)
        out[here] = torch.minimum(height[here], (0.45 * gap).clamp_min(0.004))
    return out


def design(garment: GarmentSpec, base: Sheet, level: Float[Tensor, "v"], wearer: Wearer) -> Cut:
    """Cut a garment and hang it on the posed body.

    Args:
        garment: with a loose cut.
        base: the tights helper, not refined, at rest and posed.
        level: depth inside the garment's outline at its vertices; panels are not part of it.
        wearer: the body.
    """
    anatomy = wearer.anatomy
    sheet = clip(base, level)
    ring = torch.zeros(0, dtype=torch.long)
    if has_panel(garment):
        waist = waist_level(garment, anatomy)
        arms = torch.isin(limb_groups(anatomy, anatomy.regions(sheet.rest)), torch.tensor([LEFT_ARM, RIGHT_ARM]))
        sheet, ring = _at_waist(sheet, waist, arms)
    sheet = smooth(sheet, 3)
    skin_group = limb_groups(anatomy, anatomy.body.regions)
    group = limb_groups(anatomy, anatomy.regions(sheet.rest))
    height = _heights(garment, anatomy, sheet.rest, group)
    height = _room(height, sheet.rest, group, wearer, skin_group, posed=False)
    height = torch.minimum(height, _room(height, sheet.posed, group, wearer, skin_group, posed=True))
    pairs = edges(sheet.faces)
    for _ in range(4):  # no steps where a sleeve begins
        height = torch.minimum(height, 0.5 * (height + mean_neighbour(height[:, None], pairs)[:, 0]))
    away = vertex_normals(sheet.rest, sheet.faces)
    cut = Sheet(sheet.rest + away * (height - 0.004).clamp_min(0)[:, None], sheet.posed, sheet.faces)
    panel = torch.zeros(len(cut.rest), dtype=torch.bool)
    count = len(cut.rest)
    transforms = wearer.transforms(sheet.rest, torch.arange(len(anatomy.vertices)))
    free = ((height - garment.offset_m - 0.006) / 0.02).clamp(0, 1)
    if has_panel(garment):  # the waist of a coat is fitted
        free = free * ((sheet.rest[:, 1] - waist_level(garment, anatomy) - 0.04) / 0.2).clamp(0, 1)
    if has_panel(garment):
        cut, panel, rows = _with_panel(cut, ring, garment, wearer, height)
        hung = wearer.transforms(cut.rest[count:], rows)
        every = torch.cat([transforms, hung])
        pairs = edges(cut.faces)
        for _ in range(14):  # the panel spans both legs: it follows neither alone
            every = torch.where(panel[:, None], torch.lerp(every, mean_neighbour(every, pairs), 0.8), every)
        transforms = every
        fall = (waist_level(garment, anatomy) - cut.rest[:, 1]) / 0.12
        free = torch.where(panel, fall.clamp(0, 1), torch.cat([free, torch.zeros(len(panel) - count)]))
        group = torch.cat([group, torch.full((len(panel) - count,), TRUNK)])
        height = torch.cat([height, torch.full((len(panel) - count,), garment.offset_m + 0.008)])
    posed = (transforms[:, :9].unflatten(1, (3, 3)) @ cut.rest[..., None])[..., 0] + transforms[:, 9:]
    return Cut(Sheet(cut.rest, posed, cut.faces), group, panel, height, free)
