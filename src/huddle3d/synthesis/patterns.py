"""Cloth colours as functions of the place on the body at rest: no image is read, every print is made here."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.synthesis.noise import cell_tone, fractal_noise, value_noise
from huddle3d.synthesis.spec import PatternSpec

__all__ = ["cloth_colour"]


def _plane(points: Float[Tensor, "n 3"], pattern: PatternSpec) -> Float[Tensor, "n 2"]:
    """Pattern coordinates [periods]: around the body (x, with z folded in so that sides are not stretched) and along it (y), rotated."""
    a = math.radians(pattern.angle_deg)
    around = points[:, 0] + 0.6 * points[:, 2]
    along = points[:, 1]
    u = math.cos(a) * around + math.sin(a) * along
    v = -math.sin(a) * around + math.cos(a) * along
    return torch.stack([u, v], -1) / pattern.scale_m


def _stripes(uv: Tensor) -> Tensor:
    return ((uv[:, 1] % 1.0) < 0.45).float()


def _checks(uv: Tensor) -> Tensor:
    """Two crossing bands, half transparent: 0, 0.5, 1."""
    return 0.5 * ((uv[:, 0] % 1.0) < 0.5).float() + 0.5 * ((uv[:, 1] % 1.0) < 0.5).float()


def _dots(uv: Tensor) -> Tensor:
    row = uv[:, 1].floor()
    shifted = torch.stack([uv[:, 0] + 0.5 * (row % 2), uv[:, 1]], -1)
    return ((shifted - shifted.floor() - 0.5).norm(dim=-1) < 0.28).float()


def _blobs(uv: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Leaves: thresholded noise in two layers."""
    return (fractal_noise(0.8 * uv, seed, octaves=2) > 0.12).float(), (fractal_noise(1.3 * uv + 17.0, seed + 5, octaves=2) > 0.35).float()


def cloth_colour(points: Float[Tensor, "n 3"], pattern: PatternSpec) -> Float[Tensor, "n 3"]:
    """SRGB of a cloth at points of the body at rest [m]; every kind carries a faint weave and unevenness."""
    ground, second, accent = (torch.tensor(c, dtype=points.dtype, device=points.device) for c in pattern.colours)
    uv = _plane(points, pattern)
    if pattern.kind == "plain":
        colour = ground.expand(len(points), 3)
    elif pattern.kind == "stripes":
        colour = torch.lerp(ground, second, _stripes(uv)[:, None])
    elif pattern.kind == "checks":
        colour = torch.lerp(ground, second, _checks(uv)[:, None])
        line = ((uv - uv.floor() - 0.25).abs() < 0.03).any(-1, keepdim=True)
        colour = torch.where(line, accent, colour)
    elif pattern.kind == "dots":
        colour = torch.lerp(ground, second, _dots(uv)[:, None])
    elif pattern.kind == "gradient":
        height = points[:, 1]
        t = ((height - height.amin()) / (height.amax() - height.amin()).clamp_min(1e-6)).clamp(0, 1)
        colour = torch.lerp(ground, second, t[:, None])
    else:
        leaf, flower = _blobs(uv, pattern.seed)
        colour = torch.lerp(torch.lerp(ground, second, leaf[:, None]), accent, flower[:, None])
    weave = cell_tone((points / 0.003).floor().long(), pattern.seed) - 0.5
    uneven = value_noise(points / 0.09, pattern.seed + 2)
    return (colour * (1 + 0.05 * weave + 0.05 * uneven)[:, None]).clamp(0, 1)
