"""What a tailor and gravity do to a ready-made garment: shorter limbs, looser cloth, folds where a pose presses the cloth together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from huddle3d.geometry import edges, mean_neighbour, vertex_normals
from huddle3d.synthesis.clothes.anatomy import Anatomy
from huddle3d.synthesis.clothes.clothing import Fit, hold_off, press_flat
from huddle3d.synthesis.clothes.cutting import Sheet
from huddle3d.synthesis.clothes.panel import Panel
from huddle3d.synthesis.noise import value_noise
from huddle3d.synthesis.spec import PieceSpec

__all__ = ["compression", "drape", "fold_wave", "hem_depth", "stand_on_floor"]

_LEAST_M = 0.003
"""Cloth is at least this far from the skin [m]."""
_SOLE_M = 0.06


def hem_depth(piece: PieceSpec, anatomy: Anatomy, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """How far a place of the body in identity pose lies inside the hem that ``piece.length`` asks for [m]; negative is cut away."""
    far = torch.full((len(points),), 1.0)
    if piece.part == "shoes" or piece.length >= 1:
        return far
    if piece.part == "top":
        length = float((anatomy.joint("upperarm01.L") - anatomy.joint("wrist.L")).norm())
        sleeve = (0.5 + 1.5 * piece.length - anatomy.arm(points)) * length / 2
        return torch.where(anatomy.is_region(anatomy.regions(points), "upper_arm", "forearm", "hand"), sleeve, far)
    length = float((anatomy.joint("upperleg01.L") - anatomy.joint("foot.L")).norm())
    return (0.5 + 1.55 * piece.length - anatomy.leg(points)) * length / 2


def compression(panel: Panel | Sheet) -> Float[Tensor, "v"]:
    """How much shorter than at rest the edges at each vertex are, 0 (not at all) … 1, smoothed over neighbours."""
    edge = edges(panel.faces)
    a, b = edge.unbind(1)
    rest, posed = ((x[a] - x[b]).norm(dim=-1) for x in (panel.rest, panel.posed))
    squeeze = (1 - posed / rest.clamp_min(1e-6)).clamp(0, 1)
    total, count = torch.zeros(len(panel.rest)), torch.zeros(len(panel.rest))
    for end in (a, b):
        total.index_add_(0, end, squeeze)
        count.index_add_(0, end, torch.ones_like(squeeze))
    mean = (total / count.clamp_min(1))[:, None]
    for _ in range(3):
        mean = 0.5 * (mean + mean_neighbour(mean, edge))
    return mean[:, 0]


def fold_wave(rest: Float[Tensor, "n 3"], seed: int) -> Float[Tensor, "n"]:
    """Ridges in [-1, 1], level across a limb or the belly, as cloth buckles when it is pushed along it."""
    wave = value_noise(rest / torch.tensor([0.11, 0.028, 0.11]), seed) + 0.5 * value_noise(rest / torch.tensor([0.05, 0.016, 0.05]), seed + 1)
    return (1 - 2 * (wave / 0.9).abs()).clamp(-1, 1)


def drape(panel: Panel, piece: PieceSpec, fit: Fit, inner: Sequence[Panel]) -> Panel:
    """Loosen, fold, and keep off the skin, off the cloth below and away from other people.

    Args:
        panel: the garment, skinned.
        piece: how loose and how folded.
        fit: posed skins.
        inner: panels that are worn under this one.
    """
    normals = vertex_normals(panel.posed, panel.faces)
    posed = panel.posed + piece.loosen_m * normals
    wanted = torch.full((len(posed),), _LEAST_M) + 0.5 * piece.loosen_m
    for other in inner:
        wanted = torch.maximum(wanted, _height_over(other, posed, fit) + 0.004)
    posed = hold_off(posed, wanted, fit)
    edge = edges(panel.faces)
    moved = posed - panel.posed
    for _ in range(2):  # spread each push over the neighbours, or single vertices would stand out
        moved = 0.5 * (moved + mean_neighbour(moved, edge))
    posed = hold_off(panel.posed + moved, 0.8 * wanted, fit)
    # Folds come last and only rise: the smoothing above would take them away, and they cannot enter what is below.
    squeeze = (3 * compression(panel)).clamp(0, 1)
    height = piece.folds_m * (0.25 + 1.1 * squeeze) * (0.5 + 0.5 * fold_wave(panel.rest, piece.seed))
    return panel.moved(press_flat(posed + height[:, None] * vertex_normals(posed, panel.faces), fit))


def _height_over(other: Panel, points: Float[Tensor, "n 3"], fit: Fit) -> Float[Tensor, "n"]:
    """Distance from the skin of the nearest place of another panel; 0 where it is farther than 3 cm."""
    distance, index = KDTree(other.posed.double().numpy()).query(points.double().numpy())
    height = fit.skin.closest_point(other.posed).distance[torch.from_numpy(index)]
    return torch.where(torch.from_numpy(distance).to(points) < 0.03, height.clamp_max(0.06), 0.0)


def stand_on_floor(panel: Panel, fit: Fit) -> Panel:
    """Bodies stand barefoot on the floor: what reaches below it (soles, heels) is squeezed into the lowest centimetres."""
    low = float(panel.posed[:, 1].min())
    if low >= fit.floor:
        return panel
    y = panel.posed[:, 1]
    top = fit.floor + _SOLE_M
    squeezed = fit.floor + (y - low) / (top - low) * _SOLE_M
    return panel.moved(torch.stack([panel.posed[:, 0], torch.where(y < top, squeezed, y), panel.posed[:, 2]], -1))
