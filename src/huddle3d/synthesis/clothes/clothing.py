"""Garments grown from the body's helper meshes: cut at hems, held off the skin, folded, and pressed flat where people touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.geometry import vertex_normals
from huddle3d.synthesis.clothes.anatomy import Anatomy
from huddle3d.synthesis.clothes.cutting import Sheet, clip, smooth
from huddle3d.synthesis.noise import value_noise
from huddle3d.synthesis.spec import GarmentSpec

if TYPE_CHECKING:
    from huddle3d.contact import MeshQuery

__all__ = ["Fit", "cover_depth", "fold_height", "grow_garment", "hold_off", "press_flat"]


class Fit:
    """The posed surfaces that cloth has to respect."""

    def __init__(self, skin: MeshQuery, others: list[MeshQuery], floor: float = 0.0) -> None:
        self.skin, self.others, self.floor = skin, others, floor


def cover_depth(garment: GarmentSpec, anatomy: Anatomy, points: Float[Tensor, "n 3"], regions: Tensor, *, opening: bool = True) -> Float[Tensor, "n"]:
    """How far inside the garment's outline a place at rest lies [m]; negative outside. The gap of an open coat counts if ``opening``."""
    s = anatomy.size
    y = points[:, 1]
    hip = float(anatomy.joint("upperleg01.L")[1])
    arm_length = float((anatomy.joint("upperarm01.L") - anatomy.joint("wrist.L")).norm())
    leg_length = float((anatomy.joint("upperleg01.L") - anatomy.joint("foot.L")).norm())
    is_arm = anatomy.is_region(regions, "upper_arm", "forearm", "hand")
    nothing = torch.full_like(y, -1.0)
    if garment.kind in ("shirt", "coat"):
        collar = float(anatomy.joint("neck01")[1]) + 0.035 * s + 0.35 * (-points[:, 2]).clamp(-0.06, 0.06)
        low = hip - 0.01 * s if garment.kind == "shirt" else hip - (0.06 + 0.92 * garment.length) * (hip - float(anatomy.joint("foot.L")[1])) + 0.02
        trunk = torch.minimum(y - low, collar - y)
        if garment.loose_m > 0:
            trunk = torch.minimum(trunk, _neckline(garment, anatomy, points))
        if opening and garment.open_m > 0:
            trunk = torch.where(
                points[:, 2] > float(anatomy.joint("spine03")[2]), torch.minimum(trunk, points[:, 0].abs() - 0.9 * garment.open_m), trunk
            )
        # A sleeve's end is level across the arm; it never starts above a third of the upper arm.
        sleeve = ((0.45 + 1.5 * (garment.length if garment.kind == "shirt" else garment.sleeve)) - anatomy.arm(points)) * arm_length / 2
        return torch.where(is_arm, torch.minimum(sleeve, y - y.new_tensor(hip - 1.0)), trunk)
    if garment.kind == "trousers":
        leg = ((0.42 + 1.62 * garment.length) - anatomy.leg(points)) * leg_length / 2
        waist = (hip + 0.085 * s) - y
        return torch.where(is_arm, nothing, torch.minimum(waist, leg))
    if garment.kind == "skirt" and garment.loose_m > 0:
        low = hip - (0.06 + 0.92 * garment.length) * (hip - float(anatomy.joint("foot.L")[1])) + 0.02
        return torch.where(is_arm, nothing, torch.minimum((hip + 0.10 * s) - y, y - low))
    if garment.kind == "skirt":
        return torch.where(is_arm, nothing, torch.minimum((hip + 0.10 * s) - y, y - (hip - (0.25 + 0.45 * garment.length) * leg_length)))
    ankle = float(anatomy.joint("foot.L")[1])
    return torch.where(is_arm, nothing, ankle + (0.01 + 0.06 * garment.length) * s - y)


def _neckline(garment: GarmentSpec, anatomy: Anatomy, points: Tensor) -> Tensor:
    """Depth below a round or pointed neckline that the seed chooses [m]; collars of coats and hoods stay up."""
    s = anatomy.size
    cut = garment.seed % 5
    dip, width = ((0.0, 0.08), (0.02, 0.085), (0.045, 0.09), (0.05, 0.07), (0.085, 0.065))[cut] if garment.hood == "none" else (0.0, 0.08)
    if garment.kind == "coat" and garment.offset_m > 0.01:
        dip = 0.0
    base = float(anatomy.joint("neck01")[1]) + (0.032 - 0.012 * (dip > 0)) * s + 0.35 * (-points[:, 2]).clamp(-0.06, 0.06)
    across = (points[:, 0].abs() / (width * s)).clamp(0, 1)
    shape = 1 - across if cut >= 3 else (1 - across.square()).clamp_min(0).sqrt()
    front = ((points[:, 2] - float(anatomy.joint("neck01")[2])) / 0.03).clamp(0, 1)
    return base - dip * s * shape * front - points[:, 1]


def fold_height(garment: GarmentSpec, rest: Tensor) -> Tensor:
    """Height of the folds in [0, 1]: long along the body, short across it."""
    stretch = torch.tensor([0.045, 0.16, 0.045])
    broad = value_noise(rest / stretch, garment.seed)
    fine = value_noise(rest / (0.5 * stretch) + 7.0, garment.seed + 1)
    ridge = 1 - (0.7 * broad + 0.3 * fine).abs() * 2
    return (0.5 * ridge + 0.5 * (0.5 + 0.5 * broad)).clamp(0, 1)


def hold_off(posed: Float[Tensor, "n 3"], distance: Float[Tensor, "n"], fit: Fit) -> Float[Tensor, "n 3"]:
    """Push points that are nearer to the skin than ``distance`` (or inside it) out to that distance."""
    sd, closest = fit.skin.signed_closest(posed)
    away = (posed - closest.point) * torch.sign(sd)[:, None]
    corners = fit.skin.vertices[fit.skin.faces[closest.face]]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    direction = torch.where((sd.abs() > 1e-3)[:, None], away, torch.nn.functional.normalize(normal, dim=-1))
    direction = torch.nn.functional.normalize(direction, dim=-1)
    return torch.where((sd < distance)[:, None], closest.point + direction * distance[:, None], posed)


def press_flat(posed: Float[Tensor, "n 3"], fit: Fit) -> Float[Tensor, "n 3"]:
    """Press cloth towards its own skin wherever another person's skin is near.

    A point may keep at most 45 % of the distance of its skin from the other's skin. Both people obey this, distances change no faster than
    places do, so their cloths cannot meet if their skins do not.
    """
    if not fit.others:
        return posed
    closest = fit.skin.closest_point(posed)
    room = torch.stack([q.signed_distance(closest.point, max_distance=0.2) for q in fit.others]).amin(0)
    allowed = (0.45 * room).clamp_min(0.0005)
    offset = posed - closest.point
    return torch.where((closest.distance > allowed)[:, None], closest.point + offset * (allowed / closest.distance.clamp_min(1e-6))[:, None], posed)


def grow_garment(garment: GarmentSpec, base: Sheet, anatomy: Anatomy, fit: Fit) -> Sheet:
    """Cut the helper mesh at the garment's hems, smooth it, hold it off the skin with folds, and press it flat at contacts.

    Args:
        garment: what to make.
        base: the helper mesh (tights or skirt), fine enough, at rest and posed.
        anatomy: the body at rest.
        fit: posed skin of this person and of the others.
    """
    sheet = clip(base, cover_depth(garment, anatomy, base.rest, anatomy.regions(base.rest)))
    sheet = smooth(sheet, 2 if garment.kind == "shoes" else 8)
    if not len(sheet.faces):
        return sheet
    height = garment.offset_m + garment.folds_m * fold_height(garment, sheet.rest)
    if garment.kind == "shirt":
        # Shirts hang looser towards the hem.
        drop = float(anatomy.joint("neck01")[1]) - sheet.rest[:, 1]
        height = height + 0.012 * (drop / 0.5).clamp(0, 1) * (~anatomy.is_region(anatomy.regions(sheet.rest), "upper_arm", "forearm", "hand"))
    if garment.kind == "trousers":
        height = height + 0.008 * (anatomy.leg(sheet.rest) / 2).clamp(0, 1)
    posed = hold_off(sheet.posed, height, fit)
    posed = smooth(Sheet(sheet.rest, posed, sheet.faces), 2).posed
    normals = vertex_normals(posed, sheet.faces)
    posed = hold_off(posed + normals * (0.3 * (height - garment.offset_m))[:, None], 0.6 * height, fit)
    posed = press_flat(posed, fit)
    posed = torch.cat([posed[:, :1], posed[:, 1:2].clamp_min(fit.floor), posed[:, 2:]], -1)
    return Sheet(sheet.rest, posed, sheet.faces)
