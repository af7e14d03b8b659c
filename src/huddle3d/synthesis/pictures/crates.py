"""Boxes like furniture before the wall of a furnished room or a loft: sideboards, shelves, sofas, met by the rays of the pixels they may cover."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.synthesis.noise import cell_tone, fractal_noise
from huddle3d.synthesis.pictures.places import linear
from huddle3d.synthesis.spec import BackdropSpec

__all__ = ["Crate", "crate_hits", "place_crates"]


@dataclass(frozen=True)
class Crate:
    """A box in the wall's axes: along the wall, up, towards the camera [m]."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    colour: int
    """0 floor's, 1 accent, 2 white."""
    shelves: float
    """Distance of the grooves on its front [m]; 0 none."""


def place_crates(spec: BackdropSpec) -> list[Crate]:
    """Five pieces along the wall of a furnished room or a loft; none in other places."""
    if spec.kind not in ("furnished", "loft"):
        return []
    crates, at = [], -3.2
    draws = cell_tone(torch.cartesian_prod(torch.arange(5), torch.arange(60, 66)), spec.seed).reshape(5, 6).tolist()
    for gap, wide, high, deep, tint, kind in draws:
        at += 0.25 + 1.0 * gap
        size = (0.5 + 1.2 * wide, 0.35 + (1.6 if kind > 0.6 else 0.6) * high, 0.3 + 0.25 * deep)
        near = min(-spec.distance_m + size[2], -0.75)
        crates.append(
            Crate((at, 0.0, near - size[2]), (at + size[0], size[1], near), int(3 * tint), 0.28 if kind > 0.6 else 0.0 if kind < 0.3 else 0.4)
        )
        at += size[0]
    return crates


def crate_hits(
    crate: Crate,
    spec: BackdropSpec,
    camera: Camera,
    origin: Float[Tensor, "n 3"],
    d: Float[Tensor, "n 3"],
    axes: tuple[Float[Tensor, "3"], Float[Tensor, "3"]],
) -> tuple[Int[Tensor, "m"], Float[Tensor, "m"], Int[Tensor, "m"], Float[Tensor, "m 3"]]:
    """Pixels whose rays meet the box, distance along the ray, face (0 to 2: towards plus the wall's axes; 3 to 5: minus) and colour."""
    side, facing = axes
    basis = torch.stack([side, torch.tensor([0.0, 1.0, 0.0]).to(side), facing])
    low, high = d.new_tensor(crate.low), d.new_tensor(crate.high)
    corners = torch.cartesian_prod(*torch.stack([low, high], -1)) @ basis
    uv, z = camera.project(corners)
    index = torch.arange(len(d), device=d.device)
    if float(z.min()) > 0.05:  # only the pixels of its box in the picture
        x0, y0 = (int(c) for c in uv.amin(0).floor().clamp_min(0))
        x1, y1 = int(uv[:, 0].max().ceil().clamp_max(camera.width)), int(uv[:, 1].max().ceil().clamp_max(camera.height))
        index = index.reshape(camera.height, camera.width)[y0 : max(y1, y0), x0 : max(x1, x0)].reshape(-1)
    o, step = origin[index] @ basis.T, d[index] @ basis.T
    step = torch.where(step.abs() < 1e-9, torch.full_like(step, 1e-9), step)
    a, b = (low - o) / step, (high - o) / step
    enter, leave = torch.minimum(a, b), torch.maximum(a, b).amin(-1)
    t, axis = enter.max(-1)
    hit = (t < leave) & (t > 0 if camera.is_perspective else torch.isfinite(t))
    index, t, axis, step = index[hit], t[hit], axis[hit], step[hit]
    face = axis + 3 * (step.gather(1, axis[:, None])[:, 0] > 0).long()
    local = o[hit] + step * t[:, None]
    base = (linear(spec.floor, d), linear(spec.accent, d), d.new_tensor([0.65, 0.64, 0.61]))[crate.colour]
    grain = 1 + 0.06 * fractal_noise(local[:, :2] / d.new_tensor([0.5, 0.05]), spec.seed + 31, octaves=2)
    if crate.shelves > 0:
        rows = local[:, 1] / crate.shelves
        grain = grain * torch.where((axis == 2) & ((rows - rows.round()).abs() * crate.shelves < 0.008), 0.35, 1.0)
    foot = 1 - 0.35 * torch.exp(-local[:, 1].clamp_min(0) / 0.1)
    return index, t, face, base * (grain * foot)[:, None]
