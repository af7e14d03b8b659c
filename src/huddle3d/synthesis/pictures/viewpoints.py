"""The cameras from which training sees a scene: eight orthographic and eight perspective ones around the group (paper, A.3.2)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.geometry import Camera, look_at

__all__ = ["view_cameras"]

_VIEWS = 8
_PADDING = 1.05
"""The group's box is this much larger than the people; the paper says that it is padded, not by how much."""


def view_cameras(points: Float[Tensor, "n 3"], *, size: int, generator: torch.Generator) -> tuple[Camera, Camera]:
    """Eight orthographic and eight perspective cameras at the same azimuths 0, 45 … 315 degrees, which look at the middle of the group.

    Lengths are in units of half the longest side of the group's padded box, as in the canonical frame. Orthographic: elevation −10…10°, distance 3,
    and the picture spans 2 units. Perspective: elevation −20…45°, distance 2…6, and a focal length at which the unit ball fills the picture, changed
    by up to 20 %. Elevations, distances and focal lengths are drawn for each view.

    Args:
        points: vertices of everybody [m].
        size: side of the pictures [px].
        generator: on the CPU.

    Returns:
        Two batches of eight, in float32 on the CPU.
    """
    if not len(points):
        raise InputError("Cameras around a group need at least one point.")
    points = points.detach().double().cpu()
    low, high = points.amin(0), points.amax(0)
    middle, unit = (low + high) / 2, float((high - low).max()) * _PADDING / 2

    def draw(least: float, most: float) -> Float[Tensor, "8"]:
        return least + (most - least) * torch.rand(_VIEWS, generator=generator, dtype=torch.float64)

    def around(elevation_deg: Tensor, distance: Tensor) -> Float[Tensor, "8 4 4"]:
        a, e = torch.arange(_VIEWS, dtype=torch.float64) * (2 * math.pi / _VIEWS), torch.deg2rad(elevation_deg)
        eye = middle + (distance * unit)[:, None] * torch.stack([a.sin() * e.cos(), e.sin(), a.cos() * e.cos()], -1)
        return look_at(eye, middle.expand_as(eye)).float()

    flat = Camera.orthographic(unit, size, size, around(draw(-10, 10), torch.full((_VIEWS,), 3.0, dtype=torch.float64)))
    elevation, distance = draw(-20, 45), draw(2, 6)
    focal = size / 2 * (distance.square() - 1).sqrt() * draw(0.8, 1.2)
    K = torch.zeros(_VIEWS, 3, 3)
    K[:, 0, 0] = K[:, 1, 1] = focal.float()
    K[:, 0, 2] = K[:, 1, 2] = size / 2
    K[:, 2, 2] = 1
    return flat, Camera("perspective", K, around(elevation, distance), size, size)
