"""Cloth colours as functions of the place on the body at rest: no image is read, every print is made here."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.synthesis.noise import cell_tone, fractal_noise, value_noise
from huddle3d.synthesis.spec import PatternSpec

__all__ = ["cloth_colour"]

_EDGE_M = 0.0022


def _turned(plane: Float[Tensor, "n 2"], pattern: PatternSpec) -> Float[Tensor, "n 2"]:
    """Pattern coordinates [periods]: around and along the body, turned by the pattern's angle."""
    a = math.radians(pattern.angle_deg)
    around, along = plane.unbind(-1)
    u = math.cos(a) * around + math.sin(a) * along
    v = -math.sin(a) * around + math.cos(a) * along
    return torch.stack([u, v], -1) / pattern.scale_m


def _inside(depth: Tensor, edge: float) -> Tensor:
    """0 … 1 across an outline, over a width of ``edge`` on both sides: texels of a few millimetres would make a hard edge ragged."""
    return (0.5 + 0.5 * depth / edge).clamp(0, 1)


def _band(x: Tensor, share: float, edge: float) -> Tensor:
    """Bands of period 1 and the given width."""
    return _inside(share / 2 - (x - x.floor() - 0.5).abs(), edge)


def _checks(uv: Tensor, edge: float) -> Tensor:
    """Two crossing bands, half transparent: 0, 0.5, 1."""
    return 0.5 * _band(uv[:, 0], 0.5, edge) + 0.5 * _band(uv[:, 1], 0.5, edge)


def _dots(uv: Tensor, edge: float) -> Tensor:
    row = uv[:, 1].floor()
    shifted = torch.stack([uv[:, 0] + 0.5 * (row % 2), uv[:, 1]], -1)
    return _inside(0.28 - (shifted - shifted.floor() - 0.5).norm(dim=-1), edge)


def _blobs(uv: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Leaves: thresholded noise in two layers."""
    leaf, flower = fractal_noise(0.8 * uv, seed, octaves=2), fractal_noise(1.3 * uv + 17.0, seed + 5, octaves=2)
    return _inside(leaf - 0.12, 0.06), _inside(flower - 0.35, 0.06)


def cloth_colour(points: Float[Tensor, "n 3"], pattern: PatternSpec, plane: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """SRGB of a cloth; every kind carries a faint weave and unevenness.

    Args:
        points: places of the body at rest [m].
        pattern: what the cloth shows.
        plane: coordinates of the points around and along the body [m], as :func:`~huddle3d.synthesis.clothes.patterning.cloth_plane` gives them.
    """
    ground, second, accent = (torch.tensor(c, dtype=points.dtype, device=points.device) for c in pattern.colours)
    uv = _turned(plane, pattern)
    edge = min(0.2, _EDGE_M / pattern.scale_m)
    if pattern.kind == "plain":
        colour = ground.expand(len(points), 3)
    elif pattern.kind == "stripes":
        colour = torch.lerp(ground, second, _band(uv[:, 1], 0.45, edge)[:, None])
    elif pattern.kind == "checks":
        colour = torch.lerp(ground, second, _checks(uv, edge)[:, None])
        line = torch.stack([_band(uv[:, k] + 0.25, 0.06, 0.6 * edge) for k in (0, 1)], -1).amax(-1, keepdim=True)
        colour = torch.lerp(colour, accent, line)
    elif pattern.kind == "dots":
        colour = torch.lerp(ground, second, _dots(uv, edge)[:, None])
    elif pattern.kind == "gradient":
        height = points[:, 1]
        t = ((height - height.amin()) / (height.amax() - height.amin()).clamp_min(1e-6)).clamp(0, 1)
        colour = torch.lerp(ground, second, t[:, None])
    else:
        leaf, flower = _blobs(uv, pattern.seed)
        colour = torch.lerp(torch.lerp(ground, second, leaf[:, None]), accent, flower[:, None])
    weave = cell_tone((points / 0.003).floor().long(), pattern.seed) - 0.5
    uneven = value_noise(plane / 0.09, pattern.seed + 2)  # in two dimensions: half the work of three
    return (colour * (1 + 0.05 * weave + 0.05 * uneven)[:, None]).clamp(0, 1)
