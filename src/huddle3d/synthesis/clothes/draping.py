"""Loose garments on a posed body: hung, kept off the skin and off the cloth below, folded where the pose presses them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from huddle3d.geometry import edges, mean_neighbour, vertex_normals
from huddle3d.synthesis.clothes.cloth import settle
from huddle3d.synthesis.clothes.clothing import Fit, cover_depth, fold_height, press_flat
from huddle3d.synthesis.clothes.cutting import Sheet, clip, smooth, subdivide
from huddle3d.synthesis.clothes.loose import Cut, Wearer, design
from huddle3d.synthesis.clothes.patterning import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, TRUNK, limb_groups
from huddle3d.synthesis.clothes.tailor import compression, fold_wave
from huddle3d.synthesis.spec import GarmentSpec

__all__ = ["Hung", "grow_loose", "heights_over"]

_APART_M = 0.013
"""Cloth keeps this much farther from skin that another part of the cloth covers (sleeve and trunk, sleeve and skirt) [m]."""
_OVER_M = 0.005


@dataclass(frozen=True)
class Hung:
    """A finished garment."""

    sheet: Sheet
    group: Int[Tensor, "v"]
    """Part of the body of each vertex."""


def heights_over(inner: Sequence[Sheet], points: Float[Tensor, "n 3"], fit: Fit) -> Float[Tensor, "n"]:
    """Distance from the skin of the outermost of some sheets near each point [m]; 0 where none is within 4 cm."""
    out = torch.zeros(len(points))
    for sheet in inner:
        distance, index = KDTree(sheet.posed.double().numpy()).query(points.double().numpy())
        height = fit.skin.closest_point(sheet.posed).distance.clamp_max(0.06)[torch.from_numpy(index)]
        out = torch.maximum(out, torch.where(torch.from_numpy(distance).to(points) < 0.04, height, 0.0))
    return out


def _collider(rest: Tensor, group: Tensor, panel: Tensor, wanted: Tensor, wearer: Wearer, fit: Fit) -> Callable[[Tensor], Tensor]:
    """Moves points of a cloth out of the skin; hanging panels go inwards, to the body's axis, where an arm lies against them."""
    of_face = limb_groups(wearer.anatomy, wearer.anatomy.body.regions)[fit.skin.faces[:, 0]]
    hip = wearer.posed[limb_groups(wearer.anatomy, wearer.anatomy.body.regions) == TRUNK].mean(0)
    arms = torch.tensor([LEFT_ARM, RIGHT_ARM])
    far = (group != TRUNK) & (torch.where(torch.isin(group, arms), wearer.anatomy.arm(rest), wearer.anatomy.leg(rest)) > 0.4)
    neighbours = torch.eye(5, dtype=torch.bool)
    neighbours[TRUNK, [LEFT_LEG, RIGHT_LEG]] = True
    neighbours[[LEFT_LEG, RIGHT_LEG], TRUNK] = True

    def collide(points: Tensor) -> Tensor:
        sd, closest = fit.skin.signed_closest(points, max_distance=0.15)
        touched = of_face[closest.face.clamp_min(0)]
        foreign = ~neighbours[group, touched] & (far | panel)
        at_arm = panel & torch.isin(touched, arms)
        need = wanted + _APART_M * foreign
        corners = fit.skin.vertices[fit.skin.faces[closest.face.clamp_min(0)]]
        normal = torch.nn.functional.normalize(torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), dim=-1)
        away = torch.nn.functional.normalize((points - closest.point) * torch.sign(sd)[:, None], dim=-1)
        away = torch.where((sd.abs() > 1e-3)[:, None], away, normal)
        out = closest.point + away * need[:, None]
        inwards = (hip - points) * torch.tensor([1.0, 0.0, 1.0])
        inwards = torch.nn.functional.normalize(inwards, dim=-1)
        out = torch.where(at_arm[:, None], points + inwards * (need - sd).clamp(0, 0.03)[:, None], out)
        # A sleeve's shoulder and a trunk's armpit lie near foreign skin by birth: they are pushed off by the skin alone.
        bad = (closest.face >= 0) & (sd < torch.where(foreign & ~at_arm, torch.minimum(need, wanted + 0.5 * _APART_M), need))
        out = torch.where(bad[:, None], out, points)
        return torch.cat([out[:, :1], out[:, 1:2].clamp_min(fit.floor + 0.002), out[:, 2:]], -1)

    return collide


def _refined(cut: Cut, posed: Tensor) -> tuple[Sheet, Cut]:
    """Each face into four, the new corners rounded, with the cut's fields carried along."""
    sheet = subdivide(Sheet(cut.sheet.rest, posed, cut.sheet.faces))
    fields = torch.stack([cut.height, cut.free, cut.panel.float()], -1)
    fields = subdivide(Sheet(fields, fields, cut.sheet.faces)).rest
    first = edges(cut.sheet.faces)[:, 0]
    sheet = smooth(sheet, 2)
    group = torch.cat([cut.group, cut.group[first]])
    return sheet, Cut(sheet, group, fields[:, 2] > 0.5, fields[:, 0], fields[:, 1])


def grow_loose(garment: GarmentSpec, base: Sheet, wearer: Wearer, fit: Fit, inner: Sequence[Sheet]) -> Hung:
    """A garment that leaves the body surface.

    Args:
        garment: with a loose cut.
        base: the tights helper, not refined, at rest and posed.
        wearer: the body.
        fit: posed skins of this person and of the others.
        inner: cloth that lies under this garment, finished.
    """
    anatomy = wearer.anatomy
    cut = design(garment, base, cover_depth(garment, anatomy, base.rest, anatomy.regions(base.rest), opening=False), wearer)
    least = torch.maximum(torch.full_like(cut.height, garment.offset_m), heights_over(inner, cut.sheet.posed, fit) + _OVER_M * bool(inner))
    collide = _collider(cut.sheet.rest, cut.group, cut.panel, torch.maximum(least, torch.where(cut.free > 0, 0.0, cut.height)), wearer, fit)
    posed = settle(cut.sheet.rest, collide(cut.sheet.posed), cut.sheet.faces, cut.free, collide)
    sheet, fine = _refined(cut, posed)
    least = torch.maximum(torch.full_like(fine.height, garment.offset_m), heights_over(inner, sheet.posed, fit) + _OVER_M * bool(inner))
    collide = _collider(sheet.rest, fine.group, fine.panel, least, wearer, fit)
    squeeze = (2.5 * compression(sheet)).clamp(0, 1)
    along = 0.7 * fold_height(garment, sheet.rest) * (1 - 0.7 * fine.panel.float())
    ridges = along + 1.1 * squeeze * (0.5 + 0.5 * fold_wave(sheet.rest, garment.seed))
    posed = collide(sheet.posed) + vertex_normals(sheet.posed, sheet.faces) * (1.6 * garment.folds_m * ridges)[:, None]
    moved, pairs = posed - sheet.posed, edges(sheet.faces)
    moved = 0.5 * (moved + mean_neighbour(moved, pairs))  # spread single pushes over their neighbours
    posed = press_flat(collide(sheet.posed + moved), fit)
    sheet = Sheet(sheet.rest, torch.cat([posed[:, :1], posed[:, 1:2].clamp_min(fit.floor), posed[:, 2:]], -1), sheet.faces)
    if garment.open_m <= 0:
        return Hung(sheet, fine.group)
    opened = clip(sheet, opening_depth(garment, wearer, sheet.rest, fine.group))
    _, same = KDTree(sheet.rest.double().numpy()).query(opened.rest.double().numpy())
    return Hung(opened, fine.group[torch.from_numpy(same)])


def opening_depth(garment: GarmentSpec, wearer: Wearer, rest: Tensor, group: Tensor) -> Tensor:
    """Distance from the gap of an open coat [m]; negative inside the gap, which widens towards the hem."""
    anatomy = wearer.anatomy
    collar = float(anatomy.joint("neck01")[1])
    half = garment.open_m / 2 * (0.8 + 0.9 * (collar - rest[:, 1]).clamp_min(0))
    front = (rest[:, 2] > float(anatomy.joint("spine03")[2]) + 0.02) & (group == TRUNK)
    return torch.where(front, rest[:, 0].abs() - half, 1.0)
